import { expect, test } from 'vitest'
import { leasedSpender } from '../../functions/client/meter/leased.ts'
import type { Decision, Spender, SpenderTools, SpendRequest } from '../../functions/client/meter/spender.ts'
import type { JournalEntry, JournalStore, LeaseOptions, MeterOptions } from '../../functions/client/meter.ts'
import { meter } from '../../functions/client/meter.ts'
import { startApp } from '../support/app.ts'
import { newConsumer } from '../support/quota.ts'
import { unitsOf } from '../support/reservations.ts'
import { manualClock, quiet } from './manual-clock.ts'

/** The meter in mode `leased` over all of Bursar, with a clock that a test moves. */
const app = await startApp()

/** What happens to a call: `lost` had its effect and no answer comes; `dropped` had none. */
type Fate = 'lost' | 'dropped'

async function world(left: number, lease: LeaseOptions = {}, options: Partial<MeterOptions> = {}) {
  const person = await newConsumer(app, left)
  const clock = manualClock(Date.now())
  let steadyMs = 0
  const calls: { path: string; body: { requestId?: string; units?: number } }[] = []
  /** By the end of the path, how the next calls end. */
  const fates = new Map<string, Fate[]>()
  const problems: string[] = []
  let underWay = 0
  const fetch: MeterOptions['fetch'] = async (url, init) => {
    const path = new URL(url).pathname
    calls.push({ path, body: JSON.parse(String(init.body)) })
    const fate = [...fates].find(([end]) => path.endsWith(end))?.[1].shift()
    if (fate === 'dropped') throw new TypeError('fetch failed')
    underWay++
    const response = await globalThis.fetch(url, init).finally(() => {
      underWay--
    })
    if (fate === 'lost') throw new TypeError('fetch failed')
    return response
  }
  /** Lets requests over the network end. The clock must not move meanwhile: they would come too late. */
  const settled = async () => {
    do await quiet()
    while (underWay > 0)
    await quiet()
  }
  const open = () =>
    meter({
      url: app.url,
      mode: 'leased',
      openTelemetry: false,
      clock,
      fetch,
      lease: { monotonicMs: () => clock.nowMs() - Date.now() + steadyMs, ...lease },
      onProblem: ({ code }) => void problems.push(code),
      ...options,
    })
  const m = open()
  const spend = async (units = 1) => (await m.spend({ key: person.key, units })).allowed
  /** Spends until a lease is there. */
  const warm = async () => {
    for (let n = 0; n < 4; n++) expect(await spend()).toBe(true)
    await settled()
    expect(calls.some(({ path }) => path.endsWith('/leases'))).toBe(true)
  }
  return {
    m,
    open,
    person,
    clock,
    calls,
    fates,
    problems,
    spend,
    warm,
    settled,
    /** Moves only the clock that nobody sets. */
    sleep: (ms: number) => {
      steadyMs += ms
    },
    paths: () => calls.map(({ path }) => path.replace(/[0-9a-f-]{36}/, '{id}').replace('/v1/usage', '')),
    units: () => unitsOf(app, person.key),
  }
}

test('a busy customer’s units are spent in memory, and every unit served is reported once', async () => {
  const { m, warm, settled, spend, paths, units, clock, person } = await world(10_000)
  await warm()
  const decisions = Array.from({ length: 40 }, () => m.spend({ key: person.key, units: 1 }))
  expect(decisions.map((decision) => 'allowed' in decision && decision.allowed)).toEqual(Array(40).fill(true))
  for (let n = 0; n < 1000; n++) {
    if (n % 50 === 0) await clock.advance(100)
    expect(await spend()).toBe(true)
    if (n % 25 === 0) await settled()
  }
  await m.close()
  expect(await units()).toEqual([10_000 - 1044, 1044, 0])
  const leases = paths().filter((path) => path.startsWith('/leases'))
  expect([leases.at(0), leases.at(-1)]).toEqual(['/leases', '/leases/{id}/return'])
  expect(leases.length).toBeLessThan(15)
  expect(m.spend({ key: person.key, units: 1 })).toMatchObject({ status: 503, code: 'meter_closed' })
})

test.each([
  ['a budget', { budget: { units: 200, per: 'day' } }, 200, 'key_budget_exhausted'],
  ['a rate', { rate: { unitsPerSecond: 0.001, burst: 200 } }, 200, 'rate_limited'],
])(
  'a key with %s is served to the last unit that it leaves, and no further',
  async (_, limits, most, code) => {
    const { m, settled, person, units, clock, calls } = await world(10_000)
    const { status } = await app.request('PUT', '/v1/keys/default', {
      token: person.accessToken,
      json: limits,
    })
    expect(status).toBe(200)
    let served = 0
    for (let n = 0; n < 260; n++) {
      const decision = await m.spend({ key: person.key, units: 1 })
      if (decision.allowed) served++
      else expect(decision.code).toBe(code)
      await settled()
      if (n % 10 === 0) await clock.advance(300)
    }
    await m.close()
    expect([served, await units()]).toEqual([most, [10_000 - most, most, 0]])
    expect(calls.some(({ path }) => path.endsWith('/renew'))).toBe(true)
  },
)

test('a renewal whose answer is lost is sent again under its id, and its use counts once', async () => {
  const { warm, settled, spend, fates, m, units, calls, clock } = await world(10_000)
  await warm()
  fates.set('/renew', ['lost', 'lost', 'lost'])
  for (let n = 0; n < 80; n++) expect(await spend()).toBe(true)
  for (let n = 0; n < 6; n++) {
    await settled()
    await clock.advance(300)
  }
  const renewals = calls.filter(({ path }) => path.endsWith('/renew'))
  expect(renewals.length).toBeGreaterThan(3)
  expect(new Set(renewals.slice(0, 4).map(({ body }) => body.requestId)).size).toBe(1)
  await m.close()
  expect(await units()).toEqual([10_000 - 84, 84, 0])
})

test.each([
  ['the wall clock is set forward', 70_000, 0, false],
  ['the machine slept, and the wall clock is set back', -70_000, 140_000, false],
  ['the wall clock is set back', -3_600_000, 0, true],
])('a lease is spent by the clock that says more: %s', async (_, wallMs, sleptMs, isServed) => {
  const { warm, spend, fates, clock, sleep, units } = await world(10_000)
  await warm()
  fates.set('', Array(50).fill('dropped'))
  const nowMs = clock.nowMs
  clock.nowMs = () => nowMs() + wallMs
  sleep(sleptMs)
  const served = spend()
  for (let n = 0; n < 10; n++) {
    await quiet()
    await clock.advance(300)
  }
  expect(await served).toBe(isServed)
  expect((await units())[1]).toBe(4)
})

test('what a process could not return is told by its journal, in another process too', async () => {
  const entries = new Map<string, JournalEntry>()
  const journal: JournalStore = {
    add: (entry) => void entries.set(entry.id, entry),
    remove: (entry) => void entries.delete(entry.id),
    list: () => [...entries.values()],
  }
  const { m, open, warm, settled, spend, fates, units, clock } = await world(10_000, {}, { journal })
  await warm()
  for (let n = 0; n < 10; n++) await spend()
  fates.set('/return', ['lost', 'dropped', 'dropped', 'dropped', 'dropped', 'dropped'])
  const closed = m.close()
  for (let n = 0; n < 10; n++) {
    await settled()
    await clock.advance(300)
  }
  await closed
  expect([...entries.values()].map(({ kind, units: used }) => [kind, used])).toEqual([['return', 10]])
  fates.clear()
  const next = open()
  await quiet()
  await next.close()
  expect(entries.size).toBe(0)
  expect(await units()).toEqual([10_000 - 14, 14, 0])
})

test('two processes serve exactly the units that there are, though both hold leases on the way', async () => {
  const { m, open, settled, units, person, clock } = await world(200)
  const other = open()
  let served = 0
  for (let n = 0; n < 110; n++) {
    for (const each of [m, other]) if ((await each.spend({ key: person.key, units: 1 })).allowed) served++
    await settled()
    if (n % 20 === 0) await clock.advance(100)
  }
  await Promise.all([m.close(), other.close()])
  expect([served, await units()]).toEqual([200, [0, 200, 0]])
})

test('a lease without use returns by itself, long before it expires', async () => {
  const { warm, settled, clock, units, paths, spend } = await world(10_000)
  await warm()
  expect((await units())[2]).toBe(100)
  for (let n = 0; n < 3; n++) {
    await clock.advance(20_000)
    await settled()
  }
  expect([await units(), paths().at(-1)]).toEqual([[9_996, 4, 0], '/leases/{id}/return'])
  expect(await spend()).toBe(true)
})

test('units of work that failed pay for the next request of the customer', async () => {
  const { m, warm, person, units } = await world(10_000)
  await warm()
  const request = { key: person.key, units: 5 }
  for (let n = 0; n < 3; n++) {
    const decision = await m.spend(request)
    expect(decision).toMatchObject({ allowed: true })
    const web = m.fetch(() => new Response('failed', { status: 500 }), { units: 5 })
    await web(new Request('http://service/', { headers: { authorization: `Bearer ${person.key}` } }))
  }
  await m.close()
  expect(await units()).toEqual([10_000 - 19, 19, 0])
})

test('a request for more than the lease has is served from all that is left', async () => {
  const { warm, spend, m, units } = await world(300)
  await warm()
  expect(await spend(250)).toBe(true)
  expect(await spend(47)).toBe(false)
  expect(await spend(46)).toBe(true)
  await m.close()
  expect(await units()).toEqual([0, 300, 0])
})

test('a key that is revoked is refused once its lease is renewed', async () => {
  const { m, warm, settled, spend, person, clock } = await world(10_000)
  await warm()
  await app.request('POST', '/v1/keys/default/rotate', { token: person.accessToken })
  expect(await spend()).toBe(true)
  await clock.advance(20_000)
  await settled()
  expect(await spend()).toBe(false)
  await m.close()
})

test('units of failed work serve no request for which the key has no scope, or no longer works', async () => {
  const failed = { key: 'k', units: 5 }
  const asked: SpendRequest[] = []
  let answer: Decision = { allowed: false, status: 403, code: 'insufficient_scope' }
  const exact: Spender = {
    spend(request) {
      asked.push(request)
      return answer
    },
    giveBack() {},
    reserve: () => ({ allowed: false, status: 503, code: 'unavailable' }),
    close: async () => {},
  }
  const leased = leasedSpender(exact, { clock: manualClock() } as unknown as SpenderTools)
  leased.giveBack(failed, { allowed: true })
  expect(await leased.spend({ ...failed, requires: ['admin'] })).toEqual(answer)
  answer = { allowed: true, left: 9, unavailable: true }
  expect(await leased.spend(failed)).toEqual({ allowed: true, left: 9 })
  await leased.spend(failed)
  expect(asked.map((request) => request.units)).toEqual([0, 0, 5])
})
