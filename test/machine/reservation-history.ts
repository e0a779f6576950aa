import assert from 'node:assert/strict'
import { LATE_REPORT_MS, openIn, type Unreported } from '../../core/quota/reservation.ts'
import { balanceParts } from '../../core/quota/thresholds.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { keys } from '../../core/table/keys.ts'
import { dawdling, openQuotaWorld, type QuotaFunctions, type QuotaWorld } from './quota-world.ts'
import { randomFrom } from './random.ts'

const OPERATIONS = 150
const LANES = 8
const START_UNITS = 400
const DAY_MS = 24 * 3_600_000
const ANSWERS = [200, 'reservation_ended', 'lease_ended', 'temporarily_unavailable']

/** A reservation, or a lease between two renewals, as its client knows it. */
interface Known {
  id: string
  units: number
  unreported: Unreported | undefined
  /** What the client has sent to end it. */
  ends: { units: number; requestId: string; keep: number }[]
  /** What the first end that was answered 200 covered. */
  covered?: number
}

/**
 * A random history: two containers reserve, lease, settle, renew, return, spend and top up while time passes and the job
 * runs. @throws AssertionError if a unit is lost or counted twice
 */
export async function holdUnits(seed: number, functions?: QuotaFunctions): Promise<void> {
  const random = randomFrom(seed)
  const pick = (limit: number) => Math.floor(random() * limit)
  const world = await openQuotaWorld({
    left: START_UNITS,
    size: 1000,
    keyCount: 3,
    ...(functions && { functions }),
  })
  const slowness = pick(4) + 1
  const containers = [0, 1].map(() => dawdling(world.ports, () => pick(slowness)))
  const known: Known[] = []
  let credited = START_UNITS
  let spent = 0
  let made = 0

  async function endOne(through: typeof world.ports, slot: number): Promise<void> {
    const one = known[pick(known.length)]
    if (!one) return
    const again = random() < 0.3 ? one.ends[pick(one.ends.length)] : undefined
    const units = random() < 0.3 ? 0 : pick(one.units * 2)
    const keep = one.unreported && random() < 0.6 ? 1 + pick(80) : 0
    const request = again ?? { units, keep, requestId: `s-${made++}` }
    if (!again) one.ends.push(request)
    const how = { requestId: request.requestId, through, slot }
    const answer = one.unreported
      ? await world.report(one.id, request.units, { ...how, keep: request.keep, ttlSeconds: 1 + pick(120) })
      : { ...(await world.settle(one.id, request.units, how)), id: one.id, units: 0 }
    assert.ok(ANSWERS.includes(answer.told), String(answer.told))
    if (answer.told !== 200) return
    assert.ok(answer.covered <= request.units)
    // Every end that is answered 200 tells of the one that took effect.
    assert.deepEqual([one.id, one.covered ?? answer.covered], [one.id, answer.covered])
    one.covered = answer.covered
    if (answer.units === 0 || known.some(({ id }) => id === answer.id)) return
    known.push({ id: answer.id, units: answer.units, unreported: one.unreported, ends: [] })
  }

  async function takeOne(through: typeof world.ports, slot: number): Promise<void> {
    const units = 1 + pick(60)
    const requestId = random() < 0.5 ? world.timed() : `r-${made++}`
    const copies = random() < 0.2 ? 2 : 1
    const unreported = [undefined, 'return' as const, 'charge' as const][pick(3)]
    const how = { requestId, through, slot, ttlSeconds: 1 + pick(120) }
    const answers = await Promise.all(
      Array.from({ length: copies }, () =>
        unreported ? world.lease(units, { ...how, unreported }) : world.reserve(units, how),
      ),
    )
    const ids = new Set(answers.filter(({ told }) => told === 200).map(({ id }) => id))
    assert.ok(ids.size <= 1)
    for (const id of ids) known.push({ id, units, unreported, ends: [] })
  }

  async function operate(): Promise<void> {
    const through = containers[pick(2)] ?? world.ports
    const slot = pick(3)
    const choice = random()
    if (choice < 0.35) await takeOne(through, slot)
    else if (choice < 0.65) await endOne(through, slot)
    else if (choice < 0.75) {
      const units = 1 + pick(20)
      if ((await world.spend(units, undefined, { through, slot })) === 200) spent += units
    } else if (choice < 0.82) {
      const units = 50 + pick(400)
      credited += units
      await world.credit(units)
    } else if (choice < 0.9) await world.expire(through)
    else world.advance(choice < 0.97 ? pick(20_000) : choice < 0.995 ? pick(200_000) : DAY_MS)
  }

  let operations = OPERATIONS
  const lane = async () => {
    while (operations-- > 0) await operate()
  }
  await Promise.all(Array.from({ length: LANES }, lane))

  await checkBooks(world, credited)
  // In the end everything is left or used, though nobody comes again but the job.
  world.advance(3_700_000)
  await world.expire()
  const end = await numbersOf(world)
  const charged = await chargedUnits(world)
  const least = known.reduce((sum, each) => sum + (each.covered ?? 0), spent) + charged.unreported
  // A lease that was charged and reported late has used all of its units, and it is not recorded which ones were.
  const perhaps = known
    .filter(({ unreported, covered }) => unreported === 'charge' && covered !== undefined)
    .reduce((sum, { units, covered = 0 }) => sum + Math.max(0, units - covered), 0)
  assert.deepEqual([end.y, end.v], [0, undefined])
  assert.ok(Number(end.u) >= least && Number(end.u) <= least + perhaps)
  await checkBooks(world, credited)
  // Whoever reports late now is told what is covered, once.
  for (const one of known.filter(({ unreported, covered }) => unreported && covered === undefined)) {
    const before = await numbersOf(world)
    const answer = await world.report(one.id, one.units + 5)
    const after = await numbersOf(world)
    if (answer.told !== 200) continue
    const paid = (charged.byLease.get(one.id) ?? 0) + Number(after.u) - Number(before.u)
    assert.deepEqual([one.id, answer.covered], [one.id, Math.min(paid, one.units + 5)])
    assert.equal((await world.report(one.id, 1)).told, 'lease_ended')
  }
  await checkBooks(world, credited)
  world.advance(LATE_REPORT_MS)
}

const numbersOf = async (world: QuotaWorld) => (await world.counter()) as Record<string, number | undefined>

/** All units are left, used or held; the floor fits; and use by day adds up. */
async function checkBooks(world: QuotaWorld, credited: number): Promise<void> {
  const { l = 0, f = 0, u = 0, y = 0, q = 0 } = await numbersOf(world)
  assert.equal(l + f + u + y, credited)
  assert.deepEqual({ left: l, floor: f }, balanceParts(l + f, { size: q }))
  const open = openIn({ item: await world.counter() })
  assert.ok(open.reduce((sum, { units }) => sum + units, 0) <= y)
  const usage = await readUsage(world.ports, world.accountId, {})
  assert.equal(
    usage.days.reduce((sum, { units }) => sum + units, 0),
    u,
  )
}

/** Units of expired leases that count as used, by lease, and those of them whose use nobody has reported. */
async function chargedUnits(world: QuotaWorld) {
  const items = await world.table.list(keys.account(world.accountId), 'RESERVED#')
  const byNonce = new Map(
    items
      .filter(({ unreported }) => unreported === 'charge')
      .map((item) => [String(item.sk).slice('RESERVED#'.length), item] as const),
  )
  const unreported = [...byNonce.values()].filter(({ expired }) => expired)
  return {
    unreported: unreported.reduce((sum, { units }) => sum + Number(units), 0),
    byLease: {
      get: (leaseId: string) => {
        const item = byNonce.get(leaseId.slice(-12))
        return item?.expired ? Number(item.units) : undefined
      },
    },
  }
}
