import { expect, test } from 'vitest'
import type { JournalEntry, JournalStore } from '../../functions/client/meter.ts'
import { type MeterOptions, type MeterProblem, meter } from '../../functions/client/meter.ts'
import { bursarDouble } from './bursar-double.ts'
import { manualClock, quiet } from './manual-clock.ts'

/** A meter over Bursar in memory, and a clock that a test moves. */
function world(options: Partial<MeterOptions> & { left?: Record<string, number> } = {}) {
  const { left = { k: 100 }, ...own } = options
  const bursar = bursarDouble(left)
  const clock = manualClock()
  const problems: MeterProblem[] = []
  const onProblem = (problem: MeterProblem) => void problems.push(problem)
  const open = () =>
    meter({ url: 'http://bursar', fetch: bursar.fetch, clock, onProblem, openTelemetry: false, ...own })
  const m = open()
  const spend = (units = 1, more = {}) => Promise.resolve(m.spend({ key: 'k', units, ...more }))
  return { m, bursar, clock, problems, open, spend }
}

const sizes = ({ calls }: { calls: { body: { requests?: unknown[] } }[] }) =>
  calls.map(({ body }) => body.requests?.length ?? 1)
const ids = ({ calls }: { calls: { body: { requestId?: string } }[] }) =>
  calls.map(({ body }) => body.requestId)
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** A store that outlives its process. */
function durable(): JournalStore & { entries: Map<string, JournalEntry> } {
  const entries = new Map<string, JournalEntry>()
  const name = ({ kind, id }: JournalEntry) => kind + id
  return {
    entries,
    add: (entry) => void entries.set(name(entry), entry),
    remove: (entry) => void entries.delete(name(entry)),
    list: () => [...entries.values()],
  }
}

test('group commit: the first goes at once, those that come meanwhile share batches of up to 100, one at a time', async () => {
  const { bursar, spend } = world({ left: { k: 1000 } })
  bursar.always('held')
  const all = Array.from({ length: 251 }, () => spend())
  for (let round = 0; round < 4; round++) {
    await quiet()
    bursar.release()
  }
  const decisions = await Promise.all(all)
  expect(sizes(bursar)).toEqual([1, 100, 100, 50])
  expect(bursar.mostUnderWay()).toBe(1)
  expect(bursar.used('k')).toBe(251)
  const told = decisions.map((decision) => decision.allowed && decision.requestId)
  expect(new Set(told).size).toBe(251)
  expect(told.every((id) => UUID_V7.test(String(id)))).toBe(true)
  expect(decisions.map(({ left }) => left)).toEqual(Array.from({ length: 251 }, (_, at) => 999 - at))
})

test('group commit: answers and refusals stay each caller’s own, and customers do not share a batch', async () => {
  const { m, bursar, spend } = world({ left: { k: 6, other: 5 } })
  bursar.next('held')
  const first = spend(1)
  const rest = [spend(3), spend(9), spend(2), spend(0, { requires: ['read'] })]
  const others = await m.spend({ key: 'other', units: 5 })
  bursar.release()
  expect(await first).toMatchObject({ allowed: true, left: 5 })
  expect(await Promise.all(rest)).toMatchObject([
    { allowed: true, left: 2 },
    { allowed: false, status: 402, code: 'quota_exhausted', left: 2, needed: 9 },
    { allowed: true, left: 0 },
    { allowed: true, account: 'account-k', key: { id: 'k' } },
  ])
  expect(others).toMatchObject({ allowed: true, left: 0, account: 'account-other' })
  expect(bursar.calls.map(({ authorization, body }) => [authorization, body.requires])).toEqual([
    ['Bearer k', undefined],
    ['Bearer k', ['read']],
    ['Bearer other', undefined],
    ['Bearer k', undefined],
  ])
})

test('group commit: a batch that Bursar does not understand is split until only the bad request is refused', async () => {
  const { bursar, spend, problems } = world()
  bursar.next('held')
  const all = [spend(), spend(), spend(1, { tag: 'poison' }), spend(), spend()]
  await quiet()
  bursar.release()
  const decisions = await Promise.all(all)
  expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, false, true, true])
  expect(bursar.used('k')).toBe(4)
  expect(problems).toEqual([{ code: 'invalid_request', detail: 'Told: invalid_request.' }])
})

test.each(['lost', 'dropped', 503] as const)(
  'a batch that is %s goes once more under the same ids, so nothing is lost or doubled',
  async (fate) => {
    const { bursar, clock, spend } = world()
    bursar.next('held', fate)
    const all = Array.from({ length: 8 }, () => spend())
    await quiet()
    bursar.release()
    await clock.advance(60)
    expect((await Promise.all(all)).every(({ allowed }) => allowed)).toBe(true)
    expect(bursar.used('k')).toBe(8)
    const [, first, second] = bursar.calls
    expect(second).toEqual(first)
    expect(sizes(bursar)).toEqual([1, 7, 7])
  },
)

test('without groups each request goes alone, at once', async () => {
  const { bursar, spend } = world({ group: false })
  bursar.next('held', 'held', 'held')
  const all = [spend(), spend(), spend()]
  await quiet()
  expect(bursar.mostUnderWay()).toBe(3)
  bursar.release()
  expect((await Promise.all(all)).every(({ allowed }) => allowed)).toBe(true)
  expect(sizes(bursar)).toEqual([1, 1, 1])
})

test('a repeat of the caller’s own id is told, and takes nothing', async () => {
  const { bursar, spend } = world()
  expect(await spend(2, { requestId: 'job-7' })).not.toHaveProperty('replayed')
  expect(await spend(2, { requestId: 'job-7' })).toMatchObject({ allowed: true, replayed: true })
  expect(bursar.used('k')).toBe(2)
})

test('hedge: a slow request goes once more under the same id; the first answer counts, and one unit is spent', async () => {
  const { bursar, clock, spend } = world()
  bursar.next('hang')
  const slow = spend()
  await clock.advance(249)
  expect(bursar.calls).toHaveLength(1)
  await clock.advance(1)
  expect(await slow).toMatchObject({ allowed: true, left: 99 })
  expect(new Set(ids(bursar)).size).toBe(1)
  expect(bursar.used('k')).toBe(1)
  expect(clock.timers()).toBe(0)
})

test('hedge: there is one, and at 800 ms the request is refused with 503, whose outcome is unknown', async () => {
  const { bursar, clock, spend } = world()
  bursar.always('hang')
  const hung = spend()
  await clock.advance(800)
  expect(await hung).toMatchObject({ allowed: false, status: 503, code: 'unavailable', unknown: true })
  expect(bursar.calls).toHaveLength(2)
})

test('a slow batch holds up the next one no longer than the hedge', async () => {
  const { bursar, clock, spend } = world()
  bursar.next('hang', 'answer', 'hang')
  void spend()
  const next = spend()
  await clock.advance(250)
  expect(await next).toMatchObject({ allowed: true })
})

test('units that may be spent without service pay for the customer’s next request of the same size, once', async () => {
  const { m, bursar, clock, spend } = world({ left: { k: 100, other: 100 } })
  bursar.next('lost', 'lost')
  const lost = spend(5)
  await clock.advance(60)
  expect(await lost).toMatchObject({ status: 503, unknown: true })
  expect(bursar.used('k')).toBe(5)
  await m.spend({ key: 'other', units: 5 })
  expect(ids(bursar)[2]).not.toBe(ids(bursar)[0])
  await spend(4)
  await spend(5, { tag: 'other' })
  expect(bursar.used('k')).toBe(14)
  expect(await spend(5)).toMatchObject({ allowed: true, left: 86 })
  expect(bursar.used('k')).toBe(14)
  await spend(5)
  expect(bursar.used('k')).toBe(19)
})

test('an id that may be spent stays the customer’s through a 402, and is worth nothing after an hour', async () => {
  const { bursar, clock, spend } = world({ left: { k: 1 } })
  bursar.next('dropped', 'dropped')
  const first = spend()
  await clock.advance(60)
  await first
  const [lost] = ids(bursar)
  bursar.setUnits('k', 0)
  expect(await spend()).toMatchObject({ status: 402 })
  bursar.setUnits('k', 2)
  expect(await spend()).toMatchObject({ allowed: true, requestId: lost })
  bursar.next('dropped', 'dropped')
  const second = spend()
  await clock.advance(60)
  await second
  await clock.advance(60 * 60 * 1000)
  expect(await spend()).not.toMatchObject({ requestId: ids(bursar).at(-2) })
})

test('a request that was never sent is known not to be spent', async () => {
  const { bursar, clock, spend } = world({ hedgeAfterMs: 800 })
  bursar.always('hang')
  const all = [spend(), spend()]
  await clock.advance(800)
  const [, waiting] = await Promise.all(all)
  expect(waiting).toEqual({ allowed: false, status: 503, code: 'unavailable', retryAfterSeconds: 1 })
  expect(sizes(bursar)).toEqual([1])
})

test('a refusal of a gateway or a proxy on the way is no answer of Bursar', async () => {
  for (const [status, body] of [
    [429, '{"message":"Too Many Requests"}'],
    [403, '<html>blocked</html>'],
    [401, '{"message":"Unauthorized"}'],
    [301, ''],
    [200, '{"left":'],
  ] as const) {
    const { bursar, clock, spend } = world()
    bursar.always(() => new Response(body, { status }))
    const refused = spend()
    await clock.advance(60)
    expect(await refused).toMatchObject({ status: 503, code: 'unavailable' })
  }
})

test('a batch whose answers do not fit its requests has no known outcome', async () => {
  const { bursar, clock, spend } = world()
  const torn = ({ body }: { body: { requests: { requestId: string }[] } }) =>
    Response.json({
      answers: body.requests.toReversed().map(({ requestId }) => ({ status: 200, requestId })),
    })
  bursar.next('held', torn, torn)
  const all = [spend(), spend(), spend()]
  await quiet()
  bursar.release()
  await clock.advance(60)
  expect((await Promise.all(all)).map(({ allowed }) => allowed)).toEqual([true, false, false])
})

test('a part of a batch that has no answer goes once more, alone', async () => {
  const { m, bursar } = world({ credential: 'bss_secret', left: { a: 5, b: 5 } })
  const part = (at: number) => (call: { body: { requests: { requestId: string }[] } }) =>
    Response.json({
      answers: call.body.requests.map(({ requestId }, position) =>
        position === at ? { requestId, status: 503 } : { requestId, status: 200, left: 4 },
      ),
    })
  bursar.next('held', part(1))
  const all = ['a', 'a', 'b', 'b'].map((key) => m.spend({ key, units: 1 }))
  await quiet()
  bursar.release()
  expect((await Promise.all(all)).every(({ allowed }) => allowed)).toBe(true)
  const [, batch, again] = bursar.calls
  const { key, ...request } = batch?.body.requests[1] ?? {}
  expect([again?.customer, again?.body]).toEqual([key, request])
})

test('a service credential carries many customers in one batch, and each is refused alone', async () => {
  const { m, bursar } = world({ credential: 'bss_secret', left: { a: 1, b: 0 } })
  bursar.next('held')
  const all = ['a', 'a', 'b', 'unknown'].map((key) => m.spend({ key, units: 1, ip: '192.0.2.1' }))
  await quiet()
  bursar.release()
  expect(await Promise.all(all)).toMatchObject([
    { allowed: true, account: 'account-a' },
    { allowed: false, status: 402, needed: 1 },
    { allowed: false, status: 402, account: 'account-b' },
    { allowed: false, status: 401, code: 'unauthorized' },
  ])
  expect(sizes(bursar)).toEqual([1, 3])
  expect(bursar.calls.map(({ authorization }) => authorization)).toEqual(Array(2).fill('Bearer bss_secret'))
  expect(bursar.calls[0]).toMatchObject({ customer: 'a' })
  expect(bursar.calls[1]?.body.requests[0]).toMatchObject({ key: 'a', ip: '192.0.2.1', units: 1 })
})

test('a credential that is refused is no fault of the customer: 503, and the operator is told', async () => {
  const { m, bursar, problems } = world({ credential: 'bss_revoked', onUnavailable: 'allow' })
  bursar.always(() =>
    Response.json({ type: 'urn:bursar:problem:service_refused', detail: 'Revoked.' }, { status: 401 }),
  )
  expect(await m.spend({ key: 'k', units: 1 })).toMatchObject({ status: 503, code: 'service_refused' })
  expect(problems).toEqual([{ code: 'service_refused', detail: 'Revoked.' }])
})

const allow = { onUnavailable: 'allow', allowance: { units: 10, seconds: 60 } } as const

test('allow: a key served in the last hour passes; the units are journalled and told later under the same ids, once', async () => {
  const { bursar, clock, spend } = world(allow)
  await spend()
  bursar.next('lost', 'dropped')
  const passed = spend(3)
  await clock.advance(60)
  expect(await passed).toMatchObject({ allowed: true, unavailable: true })
  expect(bursar.used('k')).toBe(4)
  bursar.next('dropped', 'dropped')
  const again = spend(2)
  await clock.advance(60)
  expect(await again).toMatchObject({ allowed: true, unavailable: true })
  await clock.advance(5_000)
  expect(bursar.used('k')).toBe(6)
  const told = bursar.calls.at(-1)?.body.requests.map(({ requestId }: { requestId: string }) => requestId)
  expect(told).toEqual([ids(bursar)[1], ids(bursar)[3]])
  await clock.advance(60_000)
  expect(bursar.used('k')).toBe(6)
  expect(clock.timers()).toBe(0)
})

test('allow: at most so many unconfirmed units pass, for so long, and only of keys that were served', async () => {
  const { m, bursar, clock, spend } = world({ ...allow, left: { k: 100, unseen: 100 } })
  await spend(1, { requires: ['read'] })
  bursar.always('dropped')
  const after = async (work: () => unknown) => {
    const decision = work()
    await clock.advance(50)
    return decision as Promise<{ allowed: boolean }>
  }
  expect((await after(() => m.spend({ key: 'unseen', units: 1 }))).allowed).toBe(false)
  expect((await after(() => spend(1, { requires: ['admin'] }))).allowed).toBe(false)
  expect((await after(() => spend(11))).allowed).toBe(false)
  expect((await after(() => spend(6))).allowed).toBe(true)
  expect((await after(() => spend(5))).allowed).toBe(false)
  expect((await after(() => spend(4, { requires: ['read'] }))).allowed).toBe(true)
  expect((await after(() => spend(1))).allowed).toBe(false)
  expect((await after(() => spend(0))).allowed).toBe(true)
  await clock.advance(60_000)
  expect((await after(() => spend(0))).allowed).toBe(false)
})

test('allow: a key that was refused last, or not served for an hour, does not pass', async () => {
  const { bursar, clock, spend } = world(allow)
  await spend()
  await clock.advance(60 * 60 * 1000 + 1)
  bursar.next('dropped', 'dropped')
  const late = spend()
  await clock.advance(60)
  expect(await late).toMatchObject({ allowed: false, status: 503 })
  await spend()
  expect(await spend(1000)).toMatchObject({ status: 402 })
  bursar.next('dropped', 'dropped')
  const refused = spend()
  await clock.advance(60)
  expect(await refused).toMatchObject({ allowed: false, status: 503 })
})

test('allow: what Bursar refuses for good is told to the operator, with its entry, and not repeated', async () => {
  const { bursar, clock, spend, problems } = world(allow)
  await spend()
  bursar.next('dropped', 'dropped')
  const passed = spend(3)
  await clock.advance(60)
  await passed
  bursar.revoke('k')
  await clock.advance(5_000)
  expect(problems).toMatchObject([
    { code: 'unavailable' },
    { code: 'uncollected', entry: { kind: 'spend', units: 3 } },
  ])
  expect(clock.timers()).toBe(0)
})

test('allow: without a journal that keeps the entry the request is refused', async () => {
  const store = { ...durable(), add: () => Promise.reject(new Error('disk full')) }
  const { bursar, clock, spend } = world({ ...allow, journal: store })
  await spend()
  bursar.next('dropped', 'dropped')
  const refused = spend()
  await clock.advance(60)
  expect(await refused).toMatchObject({ allowed: false, status: 503 })
})

test('journal: a later process tells what a crashed one has left, but nothing that Bursar may have forgotten', async () => {
  const journal = durable()
  const { bursar, clock, spend, open, problems } = world({ ...allow, journal })
  await spend()
  bursar.next('lost', 'dropped', 'dropped', 'dropped')
  void spend(3)
  void spend(4)
  await clock.advance(200)
  expect([...journal.entries.values()].map(({ units }) => units)).toEqual([3, 4])
  bursar.always('dropped')
  await clock.advance(60_000)
  const old: JournalEntry = {
    kind: 'spend',
    id: 'old',
    key: 'k',
    units: 9,
    atMs: clock.nowMs() - 49 * 3_600_000,
  }
  journal.add(old)
  bursar.always('answer')
  const later = open()
  await later.spend({ key: 'k', units: 1 })
  await quiet()
  expect(bursar.used('k')).toBe(9)
  expect(journal.entries.size).toBe(0)
  expect(problems).toMatchObject([{ code: 'unavailable' }, { code: 'uncollected', entry: { id: 'old' } }])
})

test('close: what is under way and waiting is finished, the journal is told, and later requests are refused', async () => {
  const { m, bursar, clock, spend } = world(allow)
  await spend()
  bursar.next('dropped', 'dropped')
  const passed = spend(2)
  await clock.advance(60)
  await passed
  bursar.next('held')
  const all = [spend(), spend(), spend()]
  let isClosed = false
  const closed = m.close().then(() => {
    isClosed = true
  })
  await quiet()
  expect(isClosed).toBe(false)
  expect(await spend()).toEqual({ allowed: false, status: 503, code: 'meter_closed' })
  await quiet()
  bursar.release()
  await closed
  expect((await Promise.all(all)).every(({ allowed }) => allowed)).toBe(true)
  expect(bursar.used('k')).toBe(6)
  expect(clock.timers()).toBe(0)
})

test('close: the journal is told once more', async () => {
  const { m, bursar, clock, spend } = world(allow)
  await spend()
  bursar.next('dropped', 'dropped')
  const passed = spend(2)
  await clock.advance(60)
  await passed
  await m.close()
  expect(bursar.used('k')).toBe(3)
  expect(clock.timers()).toBe(0)
})

test('reserve: what was used is kept and the rest returns, once, whatever is lost on the way', async () => {
  const { m, bursar, clock } = world()
  bursar.next('answer', 'lost')
  const reserved = await m.reserve({ key: 'k', units: 10 })
  if (!reserved.allowed) throw new Error('refused')
  expect([reserved.units, bursar.left('k')]).toEqual([10, 90])
  const settled = Promise.all([reserved.settle(4), reserved.settle(7)])
  await clock.advance(60)
  expect(await settled).toEqual(Array(2).fill({ covered: 4, left: 96 }))
  expect(bursar.used('k')).toBe(4)
})

test('reserve: a settle without an answer is journalled and told later', async () => {
  const { m, bursar, clock } = world()
  const reserved = await m.reserve({ key: 'k', units: 10 })
  bursar.next('dropped', 'dropped')
  const settled = reserved.allowed && reserved.settle(4)
  await clock.advance(60)
  expect(await settled).toEqual({})
  expect(bursar.used('k')).toBe(0)
  await clock.advance(5_000)
  expect([bursar.used('k'), bursar.left('k')]).toEqual([4, 96])
})

test('reserve: what was used after the reservation expired is spent, once', async () => {
  const journal = durable()
  const { m, open, bursar, clock } = world({ journal })
  const reserved = await m.reserve({ key: 'k', units: 10 })
  bursar.expire('r1')
  bursar.next('answer', 'answer', 'lost')
  const added: JournalEntry[] = []
  const { add } = journal
  journal.add = (entry) => {
    added.push(entry)
    add(entry)
  }
  if (reserved.allowed) await reserved.settle(4)
  await clock.advance(10_000)
  expect(added.map(({ kind }) => kind)).toEqual(['settle', 'spend'])
  // As after a crash between the two.
  for (const entry of added) add(entry)
  const later = open()
  await later.spend({ key: 'k', units: 0 })
  await later.close()
  expect([bursar.used('k'), bursar.left('k'), journal.entries.size]).toEqual([4, 96, 0])
})

test('reserve: while Bursar does not answer, work may pass and is paid by a spend of what it took', async () => {
  const { m, bursar, clock, spend } = world(allow)
  await spend()
  bursar.always('dropped')
  const first = m.reserve({ key: 'k', units: 8 })
  await clock.advance(50)
  const second = m.reserve({ key: 'k', units: 8 })
  await clock.advance(50)
  const reserved = await first
  expect(reserved).toMatchObject({ allowed: true, unavailable: true })
  expect(await second).toMatchObject({ allowed: false, status: 503 })
  if (reserved.allowed) await reserved.settle(3)
  bursar.always('answer')
  await clock.advance(5_000)
  expect(bursar.used('k')).toBe(4)
})

test('what the service itself writes wrongly throws before anything is sent, and no key that cannot be one is sent', async () => {
  const { bursar, spend } = world()
  for (const units of [-1, 0.5, Number.NaN, 1_000_000_001]) {
    await expect(async () => spend(units)).rejects.toThrow(RangeError)
  }
  await expect(async () => spend(1, { tag: 'a\nb' })).rejects.toThrow(RangeError)
  await expect(async () => spend(1, { tag: 'x'.repeat(65) })).rejects.toThrow(RangeError)
  await expect(async () => spend(1, { requires: ['a b'] })).rejects.toThrow(RangeError)
  for (const key of ['a b', 'schlüssel', 'x'.repeat(300), 'a\r\nb']) {
    expect(await spend(1, { key })).toMatchObject({ status: 401, code: 'unauthorized' })
  }
  expect(bursar.calls).toEqual([])
})
