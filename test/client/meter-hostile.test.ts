import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { openUnserved } from '../../functions/client/meter/unserved.ts'
import {
  type JournalStore,
  type MeterOptions,
  type MeterProblem,
  meter,
} from '../../functions/client/meter.ts'
import { bursarDouble } from './bursar-double.ts'
import { manualClock, quiet } from './manual-clock.ts'

/** What else may answer, break or be wrong: proxies, stores, clocks, settings, customers. */

function world(options: Partial<MeterOptions> & { left?: Record<string, number> } = {}) {
  const { left = { k: 100 }, ...own } = options
  const bursar = bursarDouble(left)
  const clock = manualClock()
  const problems: MeterProblem[] = []
  const onProblem = (problem: MeterProblem) => void problems.push(problem)
  const m = meter({
    url: 'http://bursar',
    fetch: bursar.fetch,
    clock,
    onProblem,
    openTelemetry: false,
    ...own,
  })
  const spend = (units = 1, more = {}) => Promise.resolve(m.spend({ key: 'k', units, ...more }))
  return { m, bursar, clock, problems, spend }
}
const allow = { onUnavailable: 'allow', allowance: { units: 1000 } } as const

const RUBBISH: [string, () => Response][] = [
  ['nothing', () => new Response('')],
  ['a page', () => new Response('<html>fine</html>')],
  ['JSON of something else', () => Response.json({ status: 'ok' })],
  ['a list', () => Response.json([])],
  ['a redirect', () => Response.redirect('http://elsewhere/')],
  ['text for what is left', () => Response.json({ left: '9' })],
]
test.each(RUBBISH)(
  'status 200 with %s lets nothing pass, and the operator is told why',
  async (_, answer) => {
    const { bursar, clock, spend, problems } = world()
    bursar.always(answer)
    const decision = spend()
    await clock.advance(60)
    expect(await decision).toMatchObject({ allowed: false, status: 503, unknown: true })
    expect(problems).toMatchObject([{ code: 'unavailable' }])
    expect(problems[0]?.detail).toMatch(/http:\/\/bursar: status (200|302)/)
  },
)

test.each([
  [null, null],
  [1, 'x'],
  [{ status: '200' }, { status: 200, left: 'x' }],
])('a batch with the parts %j decides nothing, and later requests are served', async (...parts) => {
  const { bursar, clock, spend } = world()
  bursar.next(
    'held',
    () => Response.json({ answers: parts }),
    () => Response.json({ answers: parts }),
  )
  const all = [spend(), spend(2), spend(3)]
  await quiet()
  bursar.release()
  await clock.advance(60)
  expect(await Promise.all(all)).toMatchObject([{ allowed: true }, { status: 503 }, { status: 503 }])
  expect(await spend(4)).toMatchObject({ allowed: true })
})

test.each([5, 'x', { id: 7 }, { id: 'a', scopes: 5 }])(
  'a key that is told as %j is left out',
  async (key) => {
    const { bursar, spend } = world(allow)
    bursar.next(() => Response.json({ left: 1, key }))
    const decision = await spend()
    expect(decision).toMatchObject({ allowed: true, left: 1 })
    expect(decision.key).toBeUndefined()
  },
)

test('the operator is told once a minute that Bursar does not answer', async () => {
  const { bursar, clock, spend, problems } = world()
  bursar.always('dropped')
  for (let at = 0; at < 5; at++) {
    void spend()
    await clock.advance(15_000)
  }
  expect(problems.map(({ code }) => code)).toEqual(['unavailable', 'unavailable'])
})

test.each(['localhost:3000', 'ftp://bursar', '', 'http://me:secret@bursar', undefined as unknown as string])(
  'the address %j is refused at once, in words and without its password',
  (url) => {
    const open = () => meter({ url })
    expect(open).toThrow(/^The `url` of the meter is where Bursar answers, such as https:/)
    expect(open).not.toThrow(/secret/)
  },
)

test('a credential that no header can hold is refused at once, and not quoted', () => {
  const open = () => meter({ url: 'http://bursar', credential: 'bss_secret\n' })
  expect(open).toThrow(/^The `credential` has characters/)
  expect(open).not.toThrow(/secret/)
})

test('what an `onProblem` logs of lost units has no key of a customer', async () => {
  const { bursar, clock, spend, problems } = world({ ...allow, left: { 'key-of-ada': 5 } })
  await spend(1, { key: 'key-of-ada' })
  bursar.always('dropped')
  void spend(5, { key: 'key-of-ada' })
  await clock.advance(100)
  bursar.always('answer')
  await clock.advance(6_000)
  const lost = problems.find(({ code }) => code === 'uncollected')
  expect(lost?.entry?.key).toBe('key-of-ada')
  expect(JSON.stringify(problems)).not.toContain('key-of-ada')
})

test('a customer whose units were refused after an outage does not pass in the next one', async () => {
  const { bursar, clock, spend } = world({ ...allow, left: { k: 1 } })
  await spend()
  for (const isAllowed of [true, false]) {
    bursar.always('dropped')
    const decision = spend(10)
    await clock.advance(100)
    expect((await decision).allowed).toBe(isAllowed)
    bursar.always('answer')
    await clock.advance(6_000)
  }
})

test.each([Number.NaN, -1, 0.5, 2_000_000_000, '3' as unknown as number])(
  'a settle of %s is a mistake that leaves the reservation open for the right one',
  async (used) => {
    const { m, bursar } = world()
    const reserved = await m.reserve({ key: 'k', units: 10 })
    if (!reserved.allowed) throw new Error(reserved.code)
    await expect(reserved.settle(used)).rejects.toThrow(RangeError)
    expect(await reserved.settle(4)).toMatchObject({ covered: 4 })
    expect([bursar.used('k'), bursar.left('k')]).toEqual([4, 96])
  },
)

test('HEAD to reserved work costs what GET costs, though nobody reads its body', async () => {
  const { m, bursar } = world()
  const work = m.fetch(() => new Response('dear'), { units: 7, reserve: true })
  await work(new Request('http://x/', { method: 'HEAD', headers: { 'x-api-key': 'k' } }))
  expect(bursar.used('k')).toBe(7)
})

test.each([
  [new Error('broke'), 0],
  [undefined, 7],
])('a Node response that ends by %s has cost %i', async (errored, cost) => {
  const { m, bursar } = world()
  const response = Object.assign(new EventEmitter(), { statusCode: 200, errored, setHeader() {}, end() {} })
  const request = { method: 'GET', originalUrl: '/', headers: { 'x-api-key': 'k' } }
  await new Promise((next) => void m.express({ units: 7, reserve: true })(request, response, next))
  response.emit('close')
  await m.close()
  expect(bursar.used('k')).toBe(cost)
})

test('units are not asked for before there is a key', async () => {
  const { m } = world()
  const units = () => {
    throw new Error('read')
  }
  const answer = await m.fetch(() => new Response(), { units })(new Request('http://x/'))
  expect(answer.status).toBe(401)
})

test('a clock that is set back while a request waits does not make it wait longer', async () => {
  const bursar = bursarDouble({ k: 100 })
  const clock = manualClock()
  let backMs = 0
  const moved = { ...clock, nowMs: () => clock.nowMs() - backMs }
  const m = meter({
    url: 'http://bursar',
    fetch: bursar.fetch,
    clock: moved,
    openTelemetry: false,
    onProblem() {},
  })
  bursar.next('held', 'hang', 'hang')
  void m.spend({ key: 'k', units: 1 })
  const second = Promise.resolve(m.spend({ key: 'k', units: 1 }))
  let decision: unknown
  void second.then((told) => {
    decision = told
  })
  await quiet()
  backMs = 3_600_000
  bursar.release()
  await clock.advance(1_000)
  expect(decision).toMatchObject({ status: 503 })
})

/** A store that answers nothing until it is let. */
function stuckStore() {
  const kept: string[] = []
  const waiting: (() => void)[] = []
  const later = (work: () => void) => new Promise<void>((resolve) => waiting.push(() => resolve(work())))
  const store: JournalStore = {
    list: () => [],
    add: ({ id }) => later(() => void kept.push(id)),
    remove: ({ id }) => later(() => void kept.splice(kept.indexOf(id), 1)),
  }
  const answer = async () => {
    while (waiting.length > 0) {
      for (const go of waiting.splice(0)) go()
      await quiet()
    }
  }
  return { store, kept, answer }
}

test('a journal that hangs refuses the request in time, and what it keeps late is taken out again', async () => {
  const { store, kept, answer } = stuckStore()
  const { bursar, clock, spend } = world({ ...allow, journal: store })
  await spend()
  bursar.always('dropped')
  const decision = spend()
  await clock.advance(1_000)
  expect(await decision).toMatchObject({ status: 503, unknown: true })
  await answer()
  expect(kept).toEqual([])
})

test('a journal that never tells what it holds does not make requests hang', async () => {
  const journal: JournalStore = { add() {}, remove() {}, list: () => new Promise(() => {}) }
  const { bursar, clock, spend } = world({ journal })
  bursar.always('dropped')
  const decision = spend()
  await clock.advance(1_000)
  expect(await decision).toMatchObject({ status: 503 })
})

test('close ends soon while Bursar hangs, however many customers are journalled', async () => {
  const names = Array.from({ length: 50 }, (_, at) => `k${at}`)
  const { m, bursar, clock } = world({ ...allow, left: Object.fromEntries(names.map((name) => [name, 9])) })
  await Promise.all(names.map((key) => m.spend({ key, units: 1 })))
  bursar.always('hang')
  const passed = Promise.all(names.map((key) => m.spend({ key, units: 1 })))
  await clock.advance(900)
  expect((await passed).every(({ allowed }) => allowed)).toBe(true)
  let isClosed = false
  void m.close().then(() => {
    isClosed = true
  })
  await clock.advance(2_000)
  expect(isClosed).toBe(true)
})

test('entries that Bursar does not answer do not keep the others from being told', async () => {
  const names = Array.from({ length: 20 }, (_, at) => `k${at}`)
  const { m, bursar, clock } = world({ ...allow, left: Object.fromEntries(names.map((name) => [name, 9])) })
  await Promise.all(names.map((key) => m.spend({ key, units: 1 })))
  bursar.always('dropped')
  const passed = Promise.all(names.map((key) => m.spend({ key, units: 1 })))
  await clock.advance(100)
  await passed
  const ill = new Set(names.slice(0, 10))
  bursar.always((call) =>
    ill.has(call.authorization.replace('Bearer ', ''))
      ? new Response('', { status: 500 })
      : Response.json({ left: 1 }),
  )
  bursar.calls.splice(0)
  await clock.advance(30_000)
  const told = new Set(bursar.calls.map(({ authorization }) => authorization.replace('Bearer ', '')))
  expect(names.filter((name) => !told.has(name))).toEqual([])
})

test('work that ends after close is told at once', async () => {
  const { m, bursar, clock } = world()
  const reserved = await m.reserve({ key: 'k', units: 10 })
  if (!reserved.allowed) throw new Error(reserved.code)
  await m.close()
  bursar.next('dropped', 'dropped')
  void reserved.settle(4)
  await clock.advance(1_000)
  expect([bursar.used('k'), bursar.left('k')]).toEqual([4, 96])
})

test('requests with 10,000 invented keys while Bursar is down take no customer’s paid unit away', () => {
  const unserved = openUnserved(manualClock())
  unserved.keep({ key: 'k', units: 1 }, 'paid', true)
  for (let at = 0; at <= 10_000; at++) unserved.keep({ key: `invented${at}`, units: 1 }, `id${at}`, false)
  expect(unserved.take({ key: 'invented0', units: 1 })).toBeUndefined()
  expect(unserved.take({ key: 'k', units: 1 })).toBe('paid')
})
