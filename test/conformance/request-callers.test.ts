import { describe, expect, test, vi } from 'vitest'
import { rateLimited } from '../../core/errors.ts'
import { addService } from '../../core/keys/services.ts'
import { addAdminKey } from '../../core/operators/admin-keys.ts'
import type { Ports } from '../../core/ports.ts'
import { admin } from '../../functions/admin/routes.ts'
import { adminKeyCaller } from '../../functions/http/admin-key-caller.ts'
import { requirePerson } from '../../functions/http/challenge.ts'
import { batchRequests } from '../../functions/http/customers.ts'
import { gate } from '../../functions/http/gate.ts'
import { keyCaller } from '../../functions/http/key-caller.ts'
import { operatorCaller } from '../../functions/http/operator-caller.ts'
import type { Placed } from '../../functions/http/route.ts'
import { takeTurns } from '../../functions/http/vault-turn.ts'
import { ops } from '../../functions/ops/routes.ts'
import { rest } from '../../functions/rest/routes.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { openKeyWorld } from '../machine/key-world.ts'
import { recordingLog } from '../support/log.ts'

const ADDRESS = '192.0.2.1'
const ACCOUNT = '6548a41138406c14db33b606'
const KEY = '92c85d5c-daea-447d-9eac-1d6d64d8b340'

async function open() {
  const world = await openKeyWorld()
  const { credential } = await addService(world.ports, 'gateway')
  const asked = (headers: Record<string, string>, isNameOptional = false) =>
    keyCaller(world.ports, headers, ADDRESS, isNameOptional)
  return {
    ...world,
    asked,
    /** A request with the service's credential. */
    asService: (headers: Record<string, string> = {}, isNameOptional = false) =>
      asked({ authorization: `Bearer ${credential}`, ...headers }, isNameOptional),
    text: await world.defaultText(),
  }
}

const fieldsOf = (outcome: Promise<unknown> | (() => unknown)) =>
  Promise.resolve()
    .then(() => (typeof outcome === 'function' ? outcome() : outcome))
    .then(
      () => [],
      (error: { code: string; fields?: { field: string }[] }) =>
        error.code === 'invalid_request' ? error.fields?.map(({ field }) => field) : error.code,
    )

describe('an application key', () => {
  test('comes as a bearer token or in x-api-key, with the address of the request', async () => {
    const { asked } = await open()
    for (const headers of [
      { authorization: `Bearer ${KEY}` },
      { authorization: `bearer   ${KEY}` },
      { 'x-api-key': KEY },
      { authorization: `Bearer ${KEY}`, 'x-api-key': KEY },
    ] as Record<string, string>[]) {
      const { key, service } = await asked(headers)
      expect([key, service]).toEqual([{ text: KEY, ip: ADDRESS }, undefined])
    }
  })

  test.each([
    {},
    { authorization: KEY },
    { authorization: `Basic ${KEY}` },
    { authorization: 'Bearer ' },
    { authorization: `Bearer ${KEY} x` },
    { authorization: `x Bearer ${KEY}` },
    { authorization: `Bearer ${KEY}`, 'x-api-key': `${KEY}0` },
    { authorization: `Basic ${KEY}`, 'x-api-key': KEY },
    { 'x-api-key': '' },
  ] as Record<string, string>[])('is none in %j', async (headers) => {
    const { asked } = await open()
    await expect(asked(headers)).rejects.toMatchObject({
      ...{ code: 'unauthorized', detail: 'Send an application key.' },
    })
  })

  test('names its own account, and whoever has no live key does not learn what is wrong', async () => {
    const { asked, text } = await open()
    const named = { 'x-bursar-account': ACCOUNT, 'x-bursar-ip': ADDRESS }
    expect(await fieldsOf(asked({ 'x-api-key': text, ...named }))).toEqual([
      'x-bursar-account',
      'x-bursar-ip',
    ])
    expect(await fieldsOf(asked({ 'x-api-key': KEY, ...named }))).toBe('unauthorized')
  })

  test('is checked before a mistake in its request is told', async () => {
    const { asked, text } = await open()
    const { check } = await asked({ 'x-api-key': text })
    expect(await check()).toBeUndefined()
    const { check: other } = await asked({ 'x-api-key': KEY })
    await expect(other()).rejects.toMatchObject({ code: 'unauthorized' })
  })
})

describe('a service', () => {
  test('names one customer by key or by account, at an address if it says one', async () => {
    const { asService } = await open()
    const { key, service, check } = await asService({ 'x-bursar-key': KEY, 'x-bursar-ip': '2001:db8::1' })
    expect([key, service]).toEqual([{ text: KEY, ip: '2001:db8::1' }, 'gateway'])
    expect(await check()).toBeUndefined()
    expect((await asService({ 'x-bursar-account': ACCOUNT })).key).toEqual({ accountId: ACCOUNT })
  })

  test.each([
    [{ 'x-bursar-key': KEY, 'x-bursar-account': ACCOUNT }, ['x-bursar-account']],
    [{}, ['x-bursar-key']],
    [{ 'x-bursar-ip': ADDRESS }, ['x-bursar-key']],
    [{ 'x-bursar-key': KEY, 'x-bursar-ip': 'nowhere' }, ['x-bursar-ip']],
    [{ 'x-bursar-ip': 'nowhere' }, ['x-bursar-key', 'x-bursar-ip']],
  ] as [Record<string, string>, string[]][])('with %j is refused', async (headers, fields) => {
    const { asService } = await open()
    expect(await fieldsOf(asService(headers))).toEqual(fields)
  })

  test('may name nobody where each request of the body may, but gives no address that belongs to nobody', async () => {
    const { asService } = await open()
    const { key, service } = await asService({}, true)
    expect([key, service]).toEqual([undefined, 'gateway'])
    expect(await fieldsOf(asService({ 'x-bursar-ip': ADDRESS }, true))).toEqual(['x-bursar-key'])
  })
})

describe('the requests of a batch', () => {
  const own = { service: undefined, key: { text: KEY, ip: ADDRESS } }
  const service = { service: 'gateway', key: undefined }

  test('are the customer’s own, with the tag and the scopes of the batch', () => {
    const requests = [
      { units: 1, requestId: 'r1' },
      { units: 2, tag: 'own' },
    ]
    const sent = { requests, tag: 'all', requires: ['a'] }
    const customer = { ...own.key, requires: ['a'] }
    expect(batchRequests(own, sent, undefined)).toEqual([
      { units: 1, tag: 'all', requestId: 'r1', customer },
      { units: 2, tag: 'own', requestId: undefined, customer },
    ])
    expect(batchRequests(own, sent, 'k').map(({ requestId }) => requestId)).toEqual(['r1', ['k', 1]])
  })

  test('name customers of their own for a service, or else have that of the headers', () => {
    const named = { service: 'gateway', key: { text: KEY, ip: ADDRESS } }
    const requests = [
      { units: 1, key: 'other' },
      { units: 1, account: ACCOUNT, ip: '192.0.2.9' },
      { units: 1, ip: '192.0.2.9' },
      { units: 1 },
    ]
    expect(batchRequests(named, { requests }, undefined).map(({ customer }) => customer)).toEqual([
      { text: 'other', ip: undefined, requires: undefined },
      { accountId: ACCOUNT, ip: '192.0.2.9', requires: undefined },
      { text: KEY, ip: '192.0.2.9', requires: undefined },
      { text: KEY, ip: ADDRESS, requires: undefined },
    ])
  })

  test('are refused as a whole, with the place of each fault, 20 at most', async () => {
    const faulty = (callers: typeof own | typeof service, requests: object[]) =>
      fieldsOf(() => batchRequests(callers, { requests: requests as never }, undefined))
    expect(await faulty(own, [{ units: 1 }, { units: 1, key: KEY, ip: ADDRESS }])).toEqual([
      'requests.1.key',
      'requests.1.ip',
    ])
    expect(
      await faulty(service, [
        { units: 1 },
        { units: 1, key: KEY },
        { units: 1, key: KEY, account: ACCOUNT },
        { units: 1, account: ACCOUNT, ip: 'x' },
      ]),
    ).toEqual(['requests.0.key', 'requests.2.account', 'requests.3.ip'])
    expect(await faulty(service, Array(21).fill({ units: 1 }))).toHaveLength(20)
  })
})

describe('a session', () => {
  const claims = (world: Awaited<ReturnType<typeof open>>, sessionId = 'session') => ({
    ...{ accountId: world.id, sessionId, expiresAtSec: world.nowMs() / 1000 + 900 },
  })

  test('is admitted with its account, and nobody without an access token is', async () => {
    const world = await open()
    const { account, sessionId, refusal } = await gate(v1.createKey, world.ports, claims(world))
    expect([account.id, sessionId, refusal]).toEqual([world.id, 'session', undefined])
    await expect(gate(v1.createKey, world.ports, undefined)).rejects.toMatchObject({ code: 'unauthorized' })
    const { refusal: ended } = await gate(v1.createKey, world.ports, claims(world, 'another'))
    expect(ended?.code).toBe('session_ended')
  })

  test('of an application key only reads', async () => {
    const world = await open()
    const stamp = Buffer.from((await world.counter()).h0 as Uint8Array).toString('base64url')
    const keySessions = { ofKey: { slot: 0, stamp, sinceMs: world.nowMs(), untilMs: world.nowMs() + 1000 } }
    await world.ports.table.put({ ...(await world.profile()), keySessions } as never)
    const refusalOf = async (row: Placed) =>
      (await gate(row, world.ports, claims(world, 'ofKey'))).refusal?.code
    expect(await refusalOf(v1.listKeys)).toBeUndefined()
    expect(await refusalOf(v1.createKey)).toBe('read_only_token')
  })

  test('needs a row that has the table', async () => {
    const world = await open()
    const row = { ...v1.listKeys, needs: [] }
    await expect(gate(row, world.ports, claims(world))).rejects.toThrow('must need the table')
  })
})

describe('an operator', () => {
  test('is whoever IAM has admitted, with the role of the path', async () => {
    const iam = { userArn: 'arn:aws:sts::123456789012:assumed-role/support/ada' }
    const { operator, session } = await operatorCaller(ops.suspend, {}, { iam })
    expect([operator, session]).toEqual([{ name: 'ada', role: ops.suspend.role }, undefined])
    await expect(operatorCaller(ops.suspend, {})).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(operatorCaller(v1.listKeys, {}, { iam })).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test('is no account that is none, nor one whose session has ended', async () => {
    const world = await open()
    const lambda = { accountId: world.id, sessionId: 'session', expiresAtSec: world.nowMs() / 1000 + 900 }
    const refused = (sessionId: string) =>
      expect(operatorCaller(ops.suspend, world.ports, { lambda: { ...lambda, sessionId } })).rejects
    await refused('session').toMatchObject({ code: 'operator_refused' })
    await refused('another').toMatchObject({ code: 'session_ended' })
  })

  test('is whoever has an admin key of the role', async () => {
    const { ports } = await open()
    const { credential } = await addAdminKey(ports, { name: 'crm', role: 'admin' })
    const row = admin.listUsers
    expect(await adminKeyCaller(row, ports, { 'api-key': credential })).toEqual({
      ...{ name: 'crm', role: 'admin' },
    })
    for (const [other, headers] of [
      [row, {}],
      [row, { 'api-key': KEY }],
      [v1.listKeys, { 'api-key': credential }],
    ] as const)
      await expect(adminKeyCaller(other, ports, headers)).rejects.toMatchObject({ code: 'admin_key_refused' })
  })
})

describe('a person', () => {
  const state = (left: number, most = 10) => ({ left, most }) as never
  const HEADER = 'x-challenge-response'

  async function outcome(
    states: never[],
    answer?: string,
    verify: () => Promise<boolean> = async () => true,
    service: { siteKey?: string } = { siteKey: 'site' },
  ) {
    const { log, lines } = recordingLog()
    const asked = vi.fn(verify)
    const deps = { log, challenge: { ...service, verify: asked } } as never
    const headers = answer === undefined ? {} : { [HEADER]: answer }
    const told = await requirePerson(deps, states, headers, ADDRESS).then(
      () => 'passes',
      (error: { code: string; members?: object }) => [error.code, error.members],
    )
    return [told, asked.mock.calls, lines.length]
  }
  const refused = ['challenge_required', { siteKey: 'site' }]

  test('is asked below half of a limit, and by a deployment that has a service for it', async () => {
    expect(await outcome([state(5), state(10)])).toEqual(['passes', [], 0])
    expect(await outcome([state(10), state(4)])).toEqual([refused, [], 0])
    expect(await outcome([])).toEqual(['passes', [], 0])
    expect(await outcome([state(0)], undefined, undefined, {})).toEqual(['passes', [], 0])
  })

  test('passes with a right answer of a form that the service has', async () => {
    const longest = 'x'.repeat(2048)
    expect(await outcome([state(0)], longest)).toEqual(['passes', [[longest, ADDRESS]], 0])
    for (const answer of ['', 'a b', `${longest}x`, 'é'])
      expect(await outcome([state(0)], answer)).toEqual([refused, [], 0])
    expect((await outcome([state(0)], 'no', async () => false))[0]).toEqual(refused)
  })

  test('is believed while the service does not answer, with a line for the operator', async () => {
    const outage = () => Promise.reject(new Error('an outage'))
    expect(await outcome([state(0)], 'yes', outage)).toEqual(['passes', [['yes', ADDRESS]], 1])
  })
})

describe('a turn at the vault', () => {
  const busy = rateLimited({ scope: 'all', retryAfterSeconds: undefined }, new Error('busy'))

  /** How often a row calls a vault that is busy twice. */
  async function callsOf(row: Placed): Promise<number> {
    let calls = 0
    const identity = {
      async signIn() {
        calls += 1
        if (calls < 3) throw busy
      },
    } as unknown as Ports['identity']
    const clock = { nowMs: () => 0, wait: async () => {} }
    const turned = takeTurns(row, { identity, clock, other: 1 } as never) as unknown as Ports & { other: 1 }
    expect(turned.other).toBe(1)
    await turned.identity.signIn('a1', 'x').catch(() => undefined)
    return calls
  }

  test('is not repeated for strangers who sign in or register, and is for everybody else', async () => {
    expect(await callsOf(v1.login)).toBe(1)
    expect(await callsOf(rest.createUser)).toBe(1)
    expect(await callsOf(v1.resetPassword)).toBe(3)
    expect(await callsOf(v1.refresh)).toBe(3)
    expect(await callsOf(v1.changePassword)).toBe(3)
  })

  test('needs a vault and a clock', () => {
    for (const ports of [{ clock: {} }, { identity: {} }] as never[])
      expect(takeTurns(v1.login, ports)).toBe(ports)
  })
})
