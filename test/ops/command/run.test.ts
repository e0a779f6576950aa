import { expect, test } from 'vitest'
import { commands } from '../../../functions/ops/command/commands.ts'
import { type Console, runOps } from '../../../functions/ops/command/run.ts'
import { REGION } from '../../local/event.ts'
import { startApp } from '../../support/app.ts'
import { operators } from '../../support/operators.ts'

const app = await startApp()

/** Runs a command against the stack of the tests. @returns what it printed, or the sentence of its error */
async function run(args: string[], over: Partial<Console> = {}): Promise<string> {
  const printed: string[] = []
  const console: Console = {
    fetch: (async (url: URL, init?: RequestInit) =>
      url.pathname === '/_local/operators'
        ? Response.json(
            Object.fromEntries(
              Object.entries(operators).map(([role, one]) => [
                role,
                { ...one, region: REGION, nowMs: Date.now() },
              ]),
            ),
          )
        : fetch(url, init)) as typeof fetch,
    env: {},
    aws: () => Promise.reject(new Error('no AWS CLI')),
    ask: undefined,
    print: (text) => void printed.push(text),
    progress: () => {},
    ...over,
  }
  try {
    const where = args.includes('--stage') ? [] : ['--url', app.url]
    await runOps([...args, ...where], console, commands)
    return printed.join('\n')
  } catch (error) {
    return (error as Error).message
  }
}

test('a command asks the stack on this machine as one of its operators', async () => {
  expect(await run(['whoami'])).toBe('name  local-admin\nrole  read')
  expect(await run(['whoami', '--as', 'support', '--json'])).toBe(
    '{\n  "name": "local-support",\n  "role": "read"\n}',
  )
})

test('a new credential is shown with what to do with it; the list is a table', async () => {
  expect(await run(['service', 'list'])).toBe(
    'There are no services. Make one: npm run ops -- service add <name>',
  )
  const text = await run(['service', 'add', 'gateway'])
  expect(text).toMatch(/\n {2}bss_\w+\n/)
  expect(text).toContain('npm run ops -- service revoke gateway')
  expect(await run(['service', 'add', 'gateway'])).toMatch(
    /^A service named gateway has a live credential\. /,
  )
  expect(await run(['service', 'revoke', 'gateway'])).toMatch(/within 30 seconds/)
  expect((await run(['service', 'list'])).split('\n')).toEqual([
    'NAME     SCOPES  CREDENTIAL  CREATED (UTC)     STATE',
    expect.stringMatching(/^gateway {2}meter {3}bss_….{4} {3}2026-11-21 12:00 {2}revoked 2026-11-21 12:00$/),
  ])
})

test('a new admin key is shown with what to do with it, once the question is answered; the list is a table', async () => {
  expect(await run(['admin-key', 'list'])).toMatch(/^There are no admin keys\. /)
  const add = ['admin-key', 'add', 'crm', '--role', 'support', '--reason', 'the back office', '--yes']
  const text = await run(add)
  expect(text).toMatch(/\n {2}bsa_\w+\n/)
  expect(text).toContain('npm run ops -- admin-key revoke crm')
  expect(await run(add)).toMatch(/^A live admin key, or an account .* has the name crm\. /)
  expect(await run(['admin-key', 'revoke', 'crm'])).toMatch(/within 30 seconds/)
  expect((await run(['admin-key', 'list'])).split('\n')).toEqual([
    'NAME  ROLE     KEY        CREATED (UTC)     STATE',
    expect.stringMatching(/^crm {3}support {2}bsa_….{4} {2}2026-11-21 12:00 {2}revoked 2026-11-21 12:00$/),
  ])
})

test('an operator of a lower role is told which role it takes', async () => {
  expect(await run(['service', 'add', 'x', '--as', 'read'])).toMatch(/role admin.*functions\/ops\/README\.md/)
})

test('input that the deployment refuses is named by its field', async () => {
  expect(await run(['service', 'add', 'Big'])).toMatch(/^name must have 1 to 40 lower-case letters/)
})

test('a GET without an answer is sent again, and a change is not', async () => {
  let calls = 0
  const lost = (left: number) =>
    (async (url: URL, init?: RequestInit) => {
      if (url.pathname.startsWith('/_local'))
        return Response.json({ admin: { ...operators.admin, region: REGION, nowMs: Date.now() } })
      calls += 1
      if (calls <= left) throw new TypeError('lost')
      return fetch(url, init)
    }) as typeof fetch
  expect(await run(['whoami'], { fetch: lost(1) })).toContain('local-admin')
  calls = 0
  expect(await run(['service', 'add', 'lost'], { fetch: lost(1) })).toMatch(
    /^No answer came from .*\. It may have been done\. Look before you repeat/,
  )
  expect(calls).toBe(1)
})

test('a deployment on AWS is found by its stage; its address names the region that signs', async () => {
  const asked: string[] = []
  const sent: [string, string | null][] = []
  const answer = await run(['whoami', '--stage', 'production'], {
    aws: async (args) => {
      asked.push(args.slice(0, 2).join(' '))
      return args[0] === 'configure'
        ? JSON.stringify({ AccessKeyId: 'AKIA1', SecretAccessKey: 'x', SessionToken: 'y' })
        : '["https://abc.execute-api.eu-central-1.amazonaws.com"]'
    },
    fetch: (async (url: URL, init: RequestInit) => {
      sent.push([url.href, new Headers(init.headers).get('authorization')])
      return Response.json({ name: 'ada', role: 'read' })
    }) as unknown as typeof fetch,
  })
  expect(answer).toBe('name  ada\nrole  read')
  expect(asked).toEqual(['apigatewayv2 get-apis', 'configure export-credentials'])
  expect(sent).toEqual([
    [
      'https://abc.execute-api.eu-central-1.amazonaws.com/ops/read/whoami',
      expect.stringMatching(/^AWS4-HMAC-SHA256 Credential=AKIA1\/20261121\/eu-central-1\/execute-api\//),
    ],
  ])
})

test('a stage that there is not, and an AWS CLI that is missing, are said in a sentence', async () => {
  expect(await run(['whoami', '--stage', 'nowhere'], { aws: async () => '[]' })).toMatch(
    /^There is no API named bursar-nowhere in this AWS account and region\. /,
  )
  expect(await run(['whoami', '--stage', 'nowhere'])).toBe('no AWS CLI')
})
