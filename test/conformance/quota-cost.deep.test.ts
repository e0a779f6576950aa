import { expect, test } from 'vitest'
import { consumeBatch } from '../../core/quota/batch.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { newConsumer, sizeOf, uuidv7 } from '../support/quota.ts'

/**
 * The cost of a consume in DynamoDB units, counted on the wire over many requests. The cost includes the
 * evictions from the ring, retries after a lost race and archive lookups.
 */
const app = await startApp()
const ports = await app.ports()

/** Each request moves the time in the ids by a millisecond, while the clock stands still. */
let requests = 0
const idOfNow = () => uuidv7(Date.now() + ++requests)

let words = 0

/** Runs `work` `count` times, `inFlight` at a time. @returns the average cost of a run. */
async function costOf(count: number, inFlight: number, work: () => Promise<unknown>) {
  app.resetCalls()
  let left = count
  const lane = async () => {
    while (left-- > 0) await work()
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  const { writeUnits, readUnits } = app.calls()
  return { writes: writeUnits / count, reads: readUnits / count }
}

async function consumer(keyCount = 1) {
  const person = await newConsumer(app, 10_000_000, 1_000_000)
  const all = [person.key]
  while (all.length < keyCount) all.push((await createKey(app, person)).key)
  // From now on the owner of the default key is cached.
  await consumeUnits(ports, person.key, { units: 1 })
  let turn = 0
  requests = 0
  return { person, nextKey: () => all[turn++ % all.length] ?? '' }
}

test.each([
  [1, 1, 1.1],
  [4, 1, 1.1],
  [8, 1, 1.15],
  [8, 8, 1.15],
  [16, 8, 1.5],
])(
  '%i requests in flight with %i keys and time-ordered ids cost at most %f write units each',
  async (inFlight, keyCount, most) => {
    const { person, nextKey } = await consumer(keyCount)
    const one = () => consumeUnits(ports, nextKey(), { units: 1, requestId: idOfNow() })
    const { writes } = await costOf(600, inFlight, one)
    expect(writes).toBeLessThanOrEqual(most)
    const counter = (await ports.table.get(keys.quota(person.accountId))) ?? {}
    expect(counter.u).toBe(601)
    expect(sizeOf(counter)).toBeLessThan(1024)
  },
)

test.each([1, 8])(
  '%i requests in flight of keys with budgets and rate limits cost at most 1.3 write units each',
  async (inFlight) => {
    const { person } = await consumer()
    const limits = {
      budget: { units: 1_000_000, per: 'day' },
      rate: { unitsPerSecond: 50_000, burst: 50_000 },
    }
    const all: string[] = []
    while (all.length < 7) all.push((await createKey(app, person, 'limited', limits)).key)
    for (const key of all) await consumeUnits(ports, key, { units: 1, requestId: idOfNow() })
    let turn = 0
    const one = () => consumeUnits(ports, all[turn++ % all.length] ?? '', { units: 1, requestId: idOfNow() })
    const { writes, reads } = await costOf(600, inFlight, one)
    expect(writes).toBeLessThanOrEqual(inFlight === 1 ? 1.12 : 1.3)
    expect(reads).toBeLessThanOrEqual(0.2)
    const counter = (await ports.table.get(keys.quota(person.accountId))) ?? {}
    expect(sizeOf(counter)).toBeLessThan(1024)
  },
)

test('a request without an id costs one write unit and nothing else', async () => {
  const { nextKey } = await consumer()
  expect(await costOf(200, 8, () => consumeUnits(ports, nextKey(), { units: 1 }))).toEqual({
    writes: 1,
    reads: 0,
  })
})

test.each([1, 4])(
  'untimed ids with %i requests in flight cost at most 2.1 write units each',
  async (inFlight) => {
    const { nextKey } = await consumer()
    const one = () => consumeUnits(ports, nextKey(), { units: 1, requestId: `word-${++words}` })
    const { writes, reads } = await costOf(300, inFlight, one)
    expect(writes).toBeLessThanOrEqual(2.1)
    expect(reads).toBeLessThanOrEqual(3)
  },
)

test.each([1, 4, 8])(
  '%i batches of 100 in flight cost at most 0.05 write units per request',
  async (inFlight) => {
    const { person, nextKey } = await consumer()
    const batch = () =>
      consumeBatch(
        ports,
        nextKey(),
        Array.from({ length: 100 }, () => ({ units: 1, requestId: idOfNow() })),
      )
    const { writes } = await costOf(80, inFlight, batch)
    expect(writes / 100).toBeLessThanOrEqual(0.05)
    expect((await ports.table.get(keys.quota(person.accountId)))?.u).toBe(8001)
  },
)

test('a retry costs a refused write; a retry of an archived id costs two reads or three instead', async () => {
  const { nextKey } = await consumer()
  const ids = Array.from({ length: 120 }, idOfNow)
  for (const requestId of ids) await consumeUnits(ports, nextKey(), { units: 1, requestId })
  const retries = [...ids]
  const again = () => consumeUnits(ports, nextKey(), { units: 1, requestId: retries.pop() ?? '' })
  const { writes, reads } = await costOf(120, 1, again)
  expect(writes).toBeLessThanOrEqual(0.5)
  expect(reads).toBeLessThanOrEqual(3)
})

test('a cached 402 costs no write, and an invalid key costs no call', async () => {
  const { key } = await newConsumer(app, 0)
  const person = await newConsumer(app, 0)
  const further = (await createKey(app, person)).key
  await expect(consumeUnits(ports, key, { units: 1 })).rejects.toThrow('quota_exhausted')
  const refused = (text: string, requestId?: string) => () =>
    consumeUnits(ports, text, { units: 1, requestId }).catch(() => {})
  expect(await costOf(50, 4, refused(key))).toEqual({ writes: 0, reads: 0 })
  expect(await costOf(50, 4, refused(key, idOfNow()))).toEqual({ writes: 0, reads: 1 })
  const wrong = further.slice(0, -1) + (further.endsWith('0') ? '1' : '0')
  expect(await costOf(50, 4, refused(wrong))).toEqual({ writes: 0, reads: 0 })
})
