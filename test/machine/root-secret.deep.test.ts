import { describe, expect, test } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { keyringOf } from '../support/keyrings.ts'
import { openQuotaWorld } from './quota-world.ts'

/**
 * The root secret rotates in three deployments, and while one is under way functions of both deployments answer. Whatever
 * one of them has spent under an id, no other one spends again.
 */
const [OLD, NEW] = ['a1'.repeat(32), 'b2'.repeat(32)]
const PHASES = [OLD, `${OLD},${NEW}`, `${NEW},${OLD}`, NEW].map((secret) => keyringOf(secret))

/** Two neighbouring deployments, in both orders: a repeat may come to a function of the one before. */
const PAIRS = [
  [0, 1],
  [1, 0],
  [1, 2],
  [2, 1],
  [2, 3],
  [3, 2],
] as [number, number][]

const UNTIMED = 'order 4711'

async function openPair([first, second]: [number, number]) {
  const world = await openQuotaWorld({ left: 1000 })
  const through = (phase: number) => ({ ...world.ports, keyring: PHASES[phase] }) as Ports
  return { world, one: { through: through(first) }, other: { through: through(second) } }
}

const usedIn = async (world: Awaited<ReturnType<typeof openQuotaWorld>>) => Number((await world.counter()).u)

describe.each(PAIRS)('an id that was spent in deployment %i is known in deployment %i', (...pair) => {
  test.each(['timed', 'untimed'])('a consume with a %s id', async (kind) => {
    const { world, one, other } = await openPair(pair)
    const id = kind === 'timed' ? world.timed() : UNTIMED
    expect(await world.spend(3, id, one)).toBe(200)
    expect(await world.spend(3, id, other)).toBe(200)
    expect(await usedIn(world)).toBe(3)
  })

  test('a consume whose id has left the ring meanwhile', async () => {
    const { world, one, other } = await openPair(pair)
    const ids = [world.timed(), UNTIMED]
    for (const id of ids) await world.spend(3, id, one)
    for (let n = 0; n < 70; n++) {
      world.advance(1)
      await world.spend(1, world.timed(), n % 2 ? one : other)
    }
    const before = await usedIn(world)
    for (const id of ids) expect(await world.spend(3, id, other)).toBe(200)
    expect(await usedIn(world)).toBe(before)
  })

  test('a batch of a hundred', async () => {
    const { world, one, other } = await openPair(pair)
    const batch = Array.from({ length: 100 }, (_, at) => ({
      units: 1,
      requestId: at % 10 ? world.timed(at) : `${UNTIMED} ${at}`,
    }))
    expect(new Set(await world.batch(batch, one))).toEqual(new Set([200]))
    expect(new Set(await world.batch(batch.toReversed(), other))).toEqual(new Set([200]))
    expect(await usedIn(world)).toBe(100)
  })

  test.each(['timed', 'untimed'])(
    'a reservation with a %s id, which is found again and settled once',
    async (kind) => {
      const { world, one, other } = await openPair(pair)
      const requestId = kind === 'timed' ? world.timed() : UNTIMED
      const first = await world.reserve(10, { requestId, ...one })
      const again = await world.reserve(10, { requestId, ...other })
      expect(again).toEqual(first)
      expect((await world.counter()).y).toBe(10)
      expect(await world.settle(first.id, 4, one)).toEqual({ told: 200, covered: 4, replayed: false })
      expect(await world.settle(first.id, 4, other)).toEqual({ told: 200, covered: 4, replayed: true })
      expect(await usedIn(world)).toBe(4)
    },
  )
})

test('both deployments at once spend an id once', async () => {
  for (const pair of PAIRS)
    for (const id of [UNTIMED, undefined]) {
      const { world, one, other } = await openPair(pair)
      const requestId = id ?? world.timed()
      const told = await Promise.all([one, other, one, other].map((via) => world.spend(2, requestId, via)))
      expect(told).toEqual([200, 200, 200, 200])
      expect(await usedIn(world)).toBe(2)
    }
})

test('a counter stays under 1 KB while each id has two entries', async () => {
  const { world, one } = await openPair([1, 2])
  for (let n = 0; n < 100; n++) {
    world.advance(1)
    expect(await world.spend(1, n % 3 ? world.timed() : `${UNTIMED} ${n}`, one)).toBe(200)
  }
  expect(((await world.counter()).a as Set<Uint8Array>).size).toBeLessThanOrEqual(59)
})
