import { asyncProperty, assert as check, integer } from 'fast-check'
import { expect, test } from 'vitest'
import { SERVICE_SLOT } from '../../core/keys/key-text.ts'
import { balanceParts } from '../../core/quota/thresholds.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { dawdling, openQuotaWorld, type Told } from './quota-world.ts'
import { randomFrom } from './random.ts'

const HOUR_MS = 3_600_000
const RUNS = process.env.DEEP ? 20 : 2
const OPERATIONS = 200
const LANES = 12
const START_UNITS = 400

/** A random history: two containers concurrently spend, retry and top up while time passes. */
async function history(seed: number): Promise<void> {
  const random = randomFrom(seed)
  const pick = (limit: number) => Math.floor(random() * limit)
  const world = await openQuotaWorld({ left: START_UNITS, size: 1000, keyCount: 2 })
  const slowness = pick(4) + 1
  const containers = [0, 1].map(() => dawdling(world.ports, () => pick(slowness)))

  const unitsOf = new Map<string, number>()
  const ids: string[] = []
  /** By id, the step of the history at which a request with this id was first answered 200. */
  const spentSince = new Map<string, number>()
  let step = 0
  let credited = START_UNITS
  let anonymous = 0

  function newId(): string {
    const kind = pick(10)
    const id =
      kind < 6
        ? world.timed()
        : kind < 7
          ? world.timed(-pick(2 * HOUR_MS))
          : kind < 8
            ? world.timed(pick(2 * HOUR_MS))
            : `word-${ids.length}`
    ids.push(id)
    unitsOf.set(id, 1 + pick(3))
    return id
  }
  const anyId = () => {
    if (ids.length === 0 || random() < 0.6) return newId()
    // Mostly a recent id, sometimes an old one.
    const back = random() < 0.7 ? pick(Math.min(10, ids.length)) : pick(ids.length)
    return ids[ids.length - 1 - back] ?? newId()
  }
  function note(id: string, told: Told, startedAt: number) {
    expect([200, 402]).toContain(told)
    const since = spentSince.get(id)
    if (told === 200 && since === undefined) spentSince.set(id, step)
    if (told !== 200 && since !== undefined) expect([id, since < startedAt]).toEqual([id, false])
  }

  async function operate(): Promise<void> {
    const startedAt = ++step
    const through = containers[pick(2)] ?? world.ports
    const slot = [0, 1, SERVICE_SLOT][pick(3)] ?? 0
    const choice = random()
    if (choice < 0.6) {
      const id = anyId()
      const spend = random() < 0.5 ? world.spend : world.spendTogether
      note(id, await spend(unitsOf.get(id) ?? 1, id, { through, slot }), startedAt)
    } else if (choice < 0.68) {
      const units = 1 + pick(3)
      if ((await world.spendTogether(units, undefined, { through, slot })) === 200) anonymous += units
    } else if (choice < 0.8) {
      const batch = Array.from({ length: 1 + pick(30) }, anyId)
      const told = await world.batch(
        batch.map((requestId) => ({ units: unitsOf.get(requestId) ?? 1, requestId })),
        { through, slot },
      )
      // Under so much contention a batch may give up; the checks at the end show whether it was spent.
      if (told[0] !== 'temporarily_unavailable')
        batch.forEach((id, at) => void note(id, told[at] ?? '', startedAt))
    } else if (choice < 0.88) {
      const units = 50 + pick(400)
      credited += units
      await world.credit(units)
    } else world.advance(choice < 0.98 ? pick(50) : choice < 0.995 ? pick(HOUR_MS) : 24 * HOUR_MS)
    step++
  }

  let left = OPERATIONS
  const lane = async () => {
    while (left-- > 0) await operate()
  }
  await Promise.all(Array.from({ length: LANES }, lane))

  const { l = 0, f = 0, u = 0, q = 0 } = (await world.counter()) as Record<string, number>
  expect(l + f + u).toBe(credited)
  expect({ left: l, floor: f }).toEqual(balanceParts(l + f, { size: q }))
  const usage = await readUsage(world.ports, world.accountId, {})
  expect(usage.days.reduce((sum, { units }) => sum + units, 0)).toBe(u)

  // An id that was answered 200 is answered 200 again without spending units; no other id was spent.
  for (const id of ids) {
    const used = Number((await world.counter()).u)
    const told = await world.spend(10_000_000, id)
    expect(Number((await world.counter()).u)).toBe(used)
    if (spentSince.has(id)) expect([id, told]).toEqual([id, 200])
    else if (told === 200) spentSince.set(id, step)
  }
  const spent = [...spentSince.keys()].reduce((sum, id) => sum + (unitsOf.get(id) ?? 0), anonymous)
  expect(u).toBe(spent)
}

test(`${RUNS} random histories: each id is spent once, a 200 stays a 200, and all units are accounted for`, async () => {
  await check(asyncProperty(integer(), history), { numRuns: RUNS, seed: 20261121, endOnFailure: true })
}, 120_000)
