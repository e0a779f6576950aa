import { describe, expect, test } from 'vitest'
import { consumeBatch } from '../../core/quota/batch.ts'
import { openQuotaWorld, type QuotaWorld } from '../machine/quota-world.ts'
import { metered } from '../support/metered-table.ts'

const HOUR_MS = 3_600_000

/** Spends a unit for each of so many ids whose time is an hour ahead, and then fills the ring with others. */
async function archivedAhead(count: number) {
  const world = await openQuotaWorld({ left: 10_000 })
  const ids = Array.from({ length: count }, (_, n) => world.timed(HOUR_MS + n))
  for (const id of ids) expect(await world.spend(1, id)).toBe(200)
  await world.fill(100)
  return { world, ids }
}

const used = async (world: QuotaWorld) => (await world.counter()).u

describe('ids whose time is ahead of the clock, which are archived one by one', () => {
  test('are spent once, however often they are repeated', async () => {
    const { world, ids } = await archivedAhead(3)
    const before = await used(world)
    for (const id of ids) expect(await world.spend(1, id)).toBe(200)
    expect(await used(world)).toBe(before)
  })

  test('are spent once when one batch repeats several of them, between others that are new', async () => {
    const { world, ids } = await archivedAhead(6)
    const before = Number(await used(world))
    const fresh = Array.from({ length: 2 }, (_, n) => world.timed(HOUR_MS + 100 + n))
    const [first = '', ...rest] = ids
    const requests = [first, ...fresh, ...rest].map((requestId) => ({ units: 1, requestId }))
    const { answers } = await consumeBatch(world.ports, world.keys[0] ?? '', requests)
    expect(answers.map(({ replayed }) => replayed === true)).toEqual([
      true,
      false,
      false,
      ...rest.map(() => true),
    ])
    expect(await used(world)).toBe(before + 2)
  })

  test('are still known once the clock has caught up with them, and so are newer ones', async () => {
    const { world, ids } = await archivedAhead(3)
    world.advance(HOUR_MS + 1000)
    await world.fill(60)
    const before = Number(await used(world))
    for (const id of ids) expect(await world.spend(1, id)).toBe(200)
    expect(await used(world)).toBe(before)
    // Another container knows nothing but what is stored.
    const other = { ...world.ports, table: { ...world.ports.table } }
    for (const id of ids) expect(await world.spend(1, id, { through: other })).toBe(200)
    expect(await used(world)).toBe(before)
    expect(await world.spend(1, world.timed())).toBe(200)
    expect(await used(world)).toBe(before + 1)
  })

  test.each([[1], [3]])(
    'cost nothing once the clock has passed all %i of them: new ids are not looked up any more',
    async (count) => {
      const { world } = await archivedAhead(count)
      const { table, units } = metered(world.table)
      const through = { ...world.ports, table }
      const spend = async () => {
        world.advance(1)
        Object.assign(units, { writes: 0, reads: 0 })
        expect(await world.spend(1, world.timed(), { through })).toBe(200)
        return units.reads
      }
      world.advance(2 * HOUR_MS)
      for (let n = 0; n < 100; n++) await spend()
      const reads = []
      for (let n = 0; n < 5; n++) reads.push(await spend())
      expect(reads).toEqual([0, 0, 0, 0, 0])
      expect(await world.counter()).not.toHaveProperty('e')
    },
  )

  test('and that are still ahead are looked up, when the clock has passed others', async () => {
    const { world, ids } = await archivedAhead(1)
    const far = world.timed(5 * HOUR_MS)
    await world.spend(1, far)
    await world.fill(100)
    world.advance(2 * HOUR_MS)
    await world.fill(100)
    const before = Number(await used(world))
    world.advance(3 * HOUR_MS)
    for (const id of [...ids, far]) expect(await world.spend(1, id)).toBe(200)
    expect(await used(world)).toBe(before)
  })
})
