import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MINUTE_MS } from '../../core/time.ts'
import { type Deployed, functions } from '../../functions/deploy/functions.ts'
import { environmentOf } from '../../functions/deploy/permissions.ts'
import { factsOf, needs } from '../../functions/http/needs.ts'
import { consoleKey, type Need } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { jobs } from '../../functions/jobs/schedule.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { targetOf } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { asFunction, noteCall, ungrantedCalls } from '../support/aws-calls.ts'
import { newOperator } from '../support/console.ts'
import { appCode, recoveryCode, withTwoFactor } from '../support/credentials.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, sampleOf, tokenOf } from '../support/samples.ts'

/** These tests check that the permissions that the deployment grants match the calls that the code makes. */

const read = (file: string) => readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8')
const app = await startApp()

/** A function that needs only one port. */
const needing = (need: Need): Deployed => ({
  name: need,
  handler: '',
  summary: '',
  kind: 'endpoint',
  table: 'write',
  needs: [need],
  timeoutSeconds: 1,
  memoryMb: 1,
})

/** The source text in `live.ts` for each adapter, by the adapter's name. */
const adapters = new Map(
  (/const adapters: Adapters = \{\n(.*?)\n\}\n/s.exec(read('functions/http/live.ts'))?.[1] ?? '')
    .split(/^ {2}(?=\w+: )/m)
    .slice(1)
    .map((block) => [block.slice(0, block.indexOf(':')), block]),
)
const ports = Object.keys(needs) as Need[]

test('every port has its adapters in live.ts, and every adapter its port', () => {
  const named = ports.flatMap((need) => Object.values(factsOf(need).adapters ?? [need]))
  named.push('identityInProofs')
  expect(new Set(adapters.keys())).toEqual(new Set(named))
})

describe('a port may call what its adapter calls, and nothing else', () => {
  /** Calls that need the client's secret instead of a permission. */
  const unsigned = ['cognito-idp:GetTokensFromRefreshToken', 'cognito-idp:RevokeToken']
  const services: Record<string, string> = {
    'client-cognito-identity-provider': 'cognito-idp',
    'client-kms': 'kms',
    'client-sesv2': 'ses',
  }

  /** The calls of a module and of the adapters that it builds on. */
  function calls(file: string): string[] {
    const source = read(file)
    const [, client = ''] = /from '@aws-sdk\/(client-[\w-]+)'/.exec(source) ?? []
    const own = [...source.matchAll(/new (\w+)Command\(/g)].map(([, name]) => `${services[client]}:${name}`)
    // Our own client of Lambda calls one operation, by its path.
    if (source.includes('}/invocations`')) own.push('lambda:InvokeFunction')
    // And that of EventBridge by its header.
    if (source.includes('AWSEvents.PutEvents')) own.push('events:PutEvents')
    const others = [...source.matchAll(/^import \{.*from '\.\/([\w-]+\.ts)'/gm)]
    return [...own, ...others.flatMap(([, name]) => calls(`core/adapters/${name}`))]
  }

  // The calls to the table and its indexes depend on the function; the last part of this file tests them.
  test.each(ports.filter((need) => need !== 'table' && need !== 'listing'))('%s', (need) => {
    const files = [...(adapters.get(need) ?? '').matchAll(/import\('\.\.\/\.\.\/(.*?)'\)/g)]
    const called = files.flatMap(([, file = '']) => calls(file))
    const granted = Object.values(factsOf(need).grants).flat()
    expect(new Set(granted.flatMap(({ actions }) => actions))).toEqual(
      new Set(called.filter((action) => !unsigned.includes(action))),
    )
  })

  test('the search finds the calls', () => {
    expect(calls('core/adapters/kms.ts')).toEqual(expect.arrayContaining(['kms:Encrypt', 'kms:Decrypt']))
  })
})

describe('a function that needs a port has every setting that live.ts reads for the port', () => {
  // What several ports take together stands once.
  const shared = new Map(
    [...read('functions/http/live.ts').matchAll(/^const (\w+Config) = \(\) => \(\{(.*?)^\}\)/gms)].map(
      ([, name = '', text = '']) => [name, text],
    ),
  )
  const withShared = (block: string): string =>
    [block, ...[...block.matchAll(/(\w+Config)\(\)/g)].map(([, name = '']) => shared.get(name))].join('\n')

  const readBy = [...adapters].map(([name, block]) => {
    const names = [...withShared(block).matchAll(/setting\('(\w+)'/gi)].flatMap(([, setting = '']) => setting)
    // Lambda always sets its own variables.
    return [name, new Set(names.filter((setting) => !setting.startsWith('AWS_')))] as const
  })

  test.each(readBy)('%s', (adapter, names) => {
    const need = adapter.replace(/In(Jobs|Proofs)$/, '') as Need
    expect(new Set(environmentOf(needing(need)))).toEqual(names)
  })

  test('tokens', () => {
    const tokens = /export function tokenSource.*?\n\}/s.exec(read('functions/http/live.ts'))?.[0] ?? ''
    const names = [...tokens.matchAll(/setting\('(\w+)'\)/g)].map(([, name]) => name)
    const [authorizer] = functions.filter(({ kind }) => kind === 'authorizer')
    expect(authorizer && environmentOf(authorizer)).toEqual(names)
  })
})

test('a method of a port is permitted by its name', () => {
  const { identity, table } = needs
  expect(identity.grants.remove).toEqual([{ actions: ['cognito-idp:AdminDeleteUser'], on: ['userPool'] }])
  expect(table.grants.due).toEqual([{ actions: ['dynamodb:Query'], on: ['dueIndex'] }])
})

/** `startApp` compares every call with the permissions of its function; these flows make each function call something. */
describe('a function may make the calls that it makes', () => {
  test.each(rows.map((row) => [rowKey(row), row] as const))('%s', async (_, row) => {
    const person = await app.signUp()
    const token = await tokenOf(app, row, person)
    const { path, query, body, raw } = await sampleOf(app, row, person)
    const [method, target] = targetOf(row.routes.at(-1) ?? '', path)
    const { status } = await app.request(method, `${target}?${new URLSearchParams(query)}`, {
      token,
      ...(body && { json: body }),
      ...raw,
    })
    expect(status).not.toBe(500)
    expect(await ungrantedCalls()).toEqual([])
  })

  /** Sends a row's sample with each proof: a wrong and a right password, and a code, while a recovery is open. */
  test.each(rows.filter(({ proof }) => proof === 'recent').map((row) => [rowKey(row), row] as const))(
    '%s, whatever proves who sends it',
    async (_, row) => {
      const isConsole = row.auth === 'operator'
      const key = isConsole ? consoleKey(row.routes[0]) : row.routes[0]
      const send = async (person: SignedInPerson, headers: Record<string, string>) => {
        const { path, body } = await sampleOf(app, row, isConsole ? await app.signUp() : person)
        const [method, target] = targetOf(key, path)
        const token = person.accessToken
        const { status } = await app.request(method, target, { token, headers, ...(body && { json: body }) })
        expect(status).toBeLessThan(500)
      }
      const guarded = isConsole
        ? await newOperator(app, row.role ?? 'admin')
        : await withTwoFactor(app, await app.signUp())
      if (!isConsole) await send(await app.signUp(), { 'x-proof-password': 'Wrong123!' })
      await send(isConsole ? guarded : await app.signUp(), { 'x-proof-password': guarded.password })
      const code = await recoveryCode(app, guarded.email)
      const { status } = await app.request('POST', '/v1/auth/recovery', { json: { code } })
      expect(status).toBeLessThan(300)
      app.advance(MINUTE_MS)
      await send(guarded, { 'x-proof-code': appCode(guarded.seed) })
      expect(await ungrantedCalls()).toEqual([])
    },
  )

  test('v1.consume, while it evicts an old request and a day ends', async () => {
    const person = await app.signUp()
    const token = await tokenOf(app, v1.consume, person)
    app.resetCalls()
    for (let sent = 0; sent < 95; sent++) {
      if (sent === 90) app.advance(24 * 60 * 60 * 1000)
      const time = Date.now().toString(16).padStart(12, '0')
      const timed = `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(sent).padStart(12, '0')}`
      const json = { units: 1, requestId: sent % 3 === 0 ? `untimed-${sent}` : timed }
      expect((await app.request('POST', '/v1/usage', { token, json })).status).toBe(200)
      app.advance(1)
    }
    expect(app.calls().dynamodb).toMatchObject({
      PutItem: expect.anything(),
      BatchWriteItem: expect.anything(),
    })
    expect(await ungrantedCalls()).toEqual([])
  })

  test.each(Object.keys(jobs))('%s', async (job) => {
    await app.signUp()
    await app.job(job.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
    expect(await ungrantedCalls()).toEqual([])
  })

  test('a call that is not granted is found, with what it asks for', async () => {
    const item = JSON.stringify({ Key: { pk: { S: 'SERVICE#1' }, sk: { S: '#SERVICE' } } })
    const call = (target: string, body: string) =>
      asFunction('functions/v1/consume.ts', () =>
        noteCall({ authorization: 'AWS4-HMAC-SHA256 …', 'x-amz-target': target }, '/', body),
      )
    call('DynamoDB_20120810.GetItem', item)
    call('DynamoDB_20120810.DeleteItem', item)
    call('DynamoDB_20120810.Scan', item)
    call('AWSCognitoIdentityProviderService.AdminDeleteUser', '{}')
    expect(await ungrantedCalls()).toEqual([
      'v1-consume calls dynamodb:DeleteItem SERVICE#',
      'v1-consume calls dynamodb:Scan SERVICE#',
      'v1-consume calls cognito-idp:AdminDeleteUser',
    ])
  })
})
