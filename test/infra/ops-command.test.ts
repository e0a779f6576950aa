import { expect, test } from 'vitest'
import { HELP, readOps, resultText } from '../../functions/deploy/ops-command.ts'

const local = { stage: undefined, url: 'http://127.0.0.1:3000', json: false }

test('commands go to the stack on this machine, unless a stage is named', () => {
  expect(readOps(['service', 'list'])).toEqual({ ...local, command: { command: 'service list' } })
  expect(readOps(['service', 'add', 'gateway', '--json', '--url', 'http://127.0.0.1:4000'])).toEqual({
    stage: undefined,
    url: 'http://127.0.0.1:4000',
    json: true,
    command: { command: 'service add', name: 'gateway' },
  })
  expect(readOps(['--stage', 'production', 'service', 'revoke', 'gateway'])).toMatchObject({
    stage: 'production',
    command: { command: 'service revoke', name: 'gateway' },
  })
})

test.each([[[]], [['--help']], [['service', '--help']]])('the arguments %j show the help', (args) => {
  expect(readOps(args).command).toBe(undefined)
  expect(HELP).toContain('npm run ops -- service add NAME')
})

test.each<[string, string[], RegExp]>([
  ['a command that there is not', ['service', 'drop', 'x'], /^There is no such command\. /],
  ['a noun that there is not', ['user', 'list'], /^There is no such command\. /],
  ['a name that is missing', ['service', 'add'], /^There is no such command\. /],
  ['a name too many', ['service', 'add', 'a', 'b'], /^There is no such command\. /],
  ['a name for the list', ['service', 'list', 'a'], /^There is no such command\. /],
  [
    'two deployments',
    ['service', 'list', '--stage', 'dev', '--url', 'http://x'],
    /^Give --stage or --url\. /,
  ],
  ['a stage that is none', ['service', 'list', '--stage', 'a;b'], /^--stage a;b is no stage\. /],
  ['a URL that is none', ['service', 'list', '--url', 'x'], /^--url x is no URL\. /],
  ['an option that there is not', ['service', 'list', '--region', 'x'], /'--region'/],
])('%s is refused in one line that says how it is done', (_, args, sentence) => {
  expect(() => readOps(args)).toThrow(sentence)
  expect(() => readOps(args)).toThrow(/^[^\n]+ Usage: npm run ops -- service add NAME [^\n]+$/)
})

const gateway = {
  name: 'gateway',
  scopes: ['meter'],
  last4: 'e241',
  createdAtMs: Date.UTC(2026, 10, 29, 8, 5),
}

test('a new credential is shown with what to do with it', () => {
  const text = resultText({ done: 'service add', service: gateway, credential: 'bss_x' })
  expect(text).toMatch(/\n {2}bss_x\n/)
  expect(text).toContain('npm run ops -- service revoke gateway')
})

test('the list is a table, and says how to begin if it is empty', () => {
  const worker = { ...gateway, name: 'w', last4: '0000', revokedAtMs: Date.UTC(2026, 10, 30) }
  expect(resultText({ done: 'service list', services: [gateway, worker] }).split('\n')).toEqual([
    'NAME     SCOPES  CREDENTIAL  CREATED (UTC)     STATE',
    'gateway  meter   bss_…e241   2026-11-29 08:05  live',
    'w        meter   bss_…0000   2026-11-29 08:05  revoked 2026-11-30 00:00',
  ])
  expect(resultText({ done: 'service list', services: [] })).toMatch(/npm run ops -- service add NAME/)
})

test('a revocation says when it takes effect', () => {
  expect(resultText({ done: 'service revoke', service: gateway })).toMatch(/within 30 seconds/)
})
