import { expect, test } from 'vitest'
import { consumeBatch } from '../../core/quota/batch.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { newConsumer, sizeOf, uuidv7 } from '../support/quota.ts'

/**
 * What the hot path costs in DynamoDB's units, counted at the wire over many requests: the turns of the ring, the
 * retries of those who came between and the looks into the archive are in it.
 */
const app = await startApp()
const ports = await app.ports()

/** The time of ids goes on, a millisecond a request, though the clock stands still. */
let requests = 0
const idOfNow = () => uuidv7(Date.now() + ++requests)

let words = 0

/** Does `work` so often, so many at a time, and says what each cost on average. */
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
  // The owner of the default key is known from now on.
  await consumeUnits(ports, person.key, { units: 1 })
  let turn = 0
  requests = 0
  return { person, nextKey: () => all[turn++ % all.length] ?? '' }
}

test.each([
  [1, 1, 1.1],
  [4, 1, 1.1],
  [8, 1, 1.1],
  [8, 8, 1.1],
  [16, 8, 1.5],
])(
  '%i in flight with %i keys and time-ordered ids: at most %f write units',
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

test('without an id: one write unit and nothing else', async () => {
  const { nextKey } = await consumer()
  expect(await costOf(200, 8, () => consumeUnits(ports, nextKey(), { units: 1 }))).toEqual({
    writes: 1,
    reads: 0,
  })
})

test.each([1, 4])('ids without time, %i in flight: at most 2.1 write units', async (inFlight) => {
  const { nextKey } = await consumer()
  const one = () => consumeUnits(ports, nextKey(), { units: 1, requestId: `word-${++words}` })
  const { writes, reads } = await costOf(300, inFlight, one)
  expect(writes).toBeLessThanOrEqual(2.1)
  expect(reads).toBeLessThanOrEqual(3)
})

test.each([1, 4, 8])('batches of 100, %i in flight: at most 0.05 write units a request', async (inFlight) => {
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
})

test('a retry costs a refused write; of one that is archived a read or two beside', async () => {
  const { nextKey } = await consumer()
  const ids = Array.from({ length: 120 }, idOfNow)
  for (const requestId of ids) await consumeUnits(ports, nextKey(), { units: 1, requestId })
  const retries = [...ids]
  const again = () => consumeUnits(ports, nextKey(), { units: 1, requestId: retries.pop() ?? '' })
  const { writes, reads } = await costOf(120, 1, again)
  expect(writes).toBe(1)
  expect(reads).toBeLessThanOrEqual(2)
})

test('refused for what is remembered: no write; with a key that was never made: no call', async () => {
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
