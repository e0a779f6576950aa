import { expect, test } from 'vitest'
import { keyStamp } from '../../core/keys/settings.ts'
import { parseCounter } from '../../core/quota/counter.ts'
import {
  keyArrivalAttribute,
  keyHashAttribute,
  keyTakenAttribute,
  keyUseAttribute,
  newQuota,
} from '../../core/quota/quota.ts'
import { OPEN_IN_COUNTER, reservationEntry } from '../../core/quota/reservation.ts'
import { RING_LIMIT, RING_MOST, ringMost, ringSizes } from '../../core/quota/ring-size.ts'
import { openQuotaWorld } from '../machine/quota-world.ts'
import { sizeOf } from '../support/quota.ts'

const ACCOUNT = 'a'.repeat(24)
const BILLION = 1_234_567_891
const NOW_MS = Date.UTC(2038, 10, 21)

const bytes = (length: number, fill: number) => Buffer.alloc(length, fill)

/** A counter with all that a counter can have, in long numbers, but for an alert. */
function fullCounter(limitedKeys: number) {
  const counter: Record<string, unknown> = newQuota(ACCOUNT, bytes(12, 0), NOW_MS)
  for (const name of 'lfqu') counter[name] = BILLION
  for (const name of 'skjgw') counter[name] = 123_456
  Object.assign(counter, { b: 0.1234, m: 594_123_456_789, e: 594_123_456_789, o: 511, n: NOW_MS + 1, r: 12 })
  Object.assign(counter, { y: BILLION, z: 1_099_511_627_775, due: 'QUOTA#3', dueAtMs: NOW_MS + 1 })
  const entry = (n: number) =>
    reservationEntry({ nonce: bytes(6, n), units: BILLION, expiresAtMs: NOW_MS, slot: n })
  counter.v = new Set(Array.from({ length: OPEN_IN_COUNTER }, (_, n) => entry(n)))
  // A rotation takes a slot, so the numbers of slots grow.
  for (let n = 0; n < 8; n++) {
    const slot = n === 0 ? 0 : 90 + n
    const isLimited = n < limitedKeys
    counter[keyHashAttribute(slot)] = keyStamp(bytes(12, n), isLimited ? 65_535 : 0)
    counter[keyUseAttribute(slot)] = BILLION
    if (!isLimited) continue
    counter[keyTakenAttribute(slot)] = BILLION
    counter[keyArrivalAttribute(slot)] = 594_123_456_789_123
  }
  return counter
}

const withRing = (counter: Record<string, unknown>) => ({
  ...counter,
  a: new Set(Array.from({ length: ringMost(counter) }, (_, n) => bytes(11, n))),
})

test.each([
  [0, 41],
  [1, 39],
  [8, 24],
])(
  'with %i limited keys of eight the ring has room for %i entries, and the counter stays under 1 KB',
  (count, most) => {
    const counter = fullCounter(count)
    expect(ringMost(counter)).toBe(most)
    expect(sizeOf(withRing(counter))).toBeLessThan(1024)
  },
)

test('whatever else is stored in 40 bytes makes room for itself, and evictions go on', () => {
  const counter = { ...fullCounter(8), i: bytes(40, 1) }
  expect(sizeOf(withRing(counter))).toBeLessThan(1024)
  expect(ringSizes(ringMost(counter))).toEqual({ most: 21, step: 5, limit: 16, kept: 6 })
})

test('an ordinary account has the longest ring', () => {
  const counter = {
    ...newQuota(ACCOUNT, bytes(12, 0), NOW_MS),
    l: BILLION,
    u: BILLION,
    q: BILLION,
    c0: BILLION,
  }
  expect(ringSizes(ringMost(counter))).toEqual({ most: RING_MOST, step: 12, limit: RING_LIMIT, kept: 6 })
})

test('whoever fills the ring evicts: after each answer there is room, by single spends and by batches', async () => {
  const world = await openQuotaWorld({ left: 10_000 })
  const size = async () => parseCounter(await world.counter()).ring.size
  for (let n = 0; n < 80; n++) {
    await world.fill(1)
    expect(await size()).toBeLessThan(RING_LIMIT)
  }
  for (let n = 0; n < 80; n++) {
    world.advance(5)
    const ids = [world.timed(), world.timed()]
    expect(await world.batch(ids.map((requestId) => ({ units: 1, requestId })))).toEqual([200, 200])
    expect(await size()).toBeLessThan(RING_LIMIT)
  }
})
