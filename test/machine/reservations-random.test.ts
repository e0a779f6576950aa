import { asyncProperty, assert as check, integer } from 'fast-check'
import { expect, test } from 'vitest'
import { SERVICE_KEY_ID, SERVICE_SLOT } from '../../core/keys/key-text.ts'
import { keyUseAttribute } from '../../core/quota/quota.ts'
import { openIn } from '../../core/quota/reservation.ts'
import { balanceParts } from '../../core/quota/thresholds.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { keys } from '../../core/table/keys.ts'
import { dawdling, openQuotaWorld } from './quota-world.ts'
import { randomFrom } from './random.ts'

const RUNS = process.env.DEEP ? 40 : 3
const OPERATIONS = 150
const LANES = 8
const START_UNITS = 400
const DAY_MS = 24 * 3_600_000

/** A reservation as its client knows it. */
interface Known {
  id: string
  units: number
  /** Units that the client has settled for, by the request's id. */
  settles: { units: number; requestId: string }[]
  /** What the first settle that was answered 200 covered. */
  covered?: number
}

/** Under so much contention a choice may give up. */
function lostRace(error: unknown): void {
  expect(error).toMatchObject({ code: 'conflict' })
}

/** A random history: two containers reserve, settle, return, spend and top up while time passes and the job runs. */
async function history(seed: number): Promise<void> {
  const random = randomFrom(seed)
  const pick = (limit: number) => Math.floor(random() * limit)
  const alerts = [350, 0.25, 60, 20]
  const world = await openQuotaWorld({ left: START_UNITS, size: 1000, keyCount: 2, alerts })
  const slowness = pick(4) + 1
  const containers = [0, 1].map(() => dawdling(world.ports, () => pick(slowness)))
  const known: Known[] = []
  let credited = START_UNITS
  let spent = 0
  let made = 0

  async function settleOne(through: typeof world.ports, slot: number): Promise<void> {
    const one = known[pick(known.length)]
    if (!one) return
    const again = random() < 0.3 ? one.settles[pick(one.settles.length)] : undefined
    const fresh = { units: random() < 0.3 ? 0 : pick(one.units * 2), requestId: `s-${made++}` }
    const request = again ?? fresh
    if (!again) one.settles.push(request)
    const answer = await world.settle(one.id, request.units, { requestId: request.requestId, through, slot })
    expect([200, 'reservation_ended', 'temporarily_unavailable']).toContain(answer.told)
    if (answer.told !== 200) return
    expect(answer.covered).toBeLessThanOrEqual(request.units)
    // Every settle that is answered 200 tells of the one that took effect.
    expect([one.id, one.covered ?? answer.covered]).toEqual([one.id, answer.covered])
    one.covered = answer.covered
  }

  async function operate(): Promise<void> {
    const through = containers[pick(2)] ?? world.ports
    const slot = [0, 1, SERVICE_SLOT][pick(3)] ?? 0
    const choice = random()
    if (choice < 0.35) {
      const units = 1 + pick(60)
      const requestId = random() < 0.5 ? world.timed() : `r-${made++}`
      const copies = random() < 0.2 ? 2 : 1
      const made2 = await Promise.all(
        Array.from({ length: copies }, () =>
          world.reserve(units, { requestId, through, slot, ttlSeconds: 1 + pick(120) }),
        ),
      )
      const ids = new Set(made2.filter(({ told }) => told === 200).map(({ id }) => id))
      expect(ids.size).toBeLessThanOrEqual(1)
      for (const id of ids) known.push({ id, units, settles: [] })
    } else if (choice < 0.65) await settleOne(through, slot)
    else if (choice < 0.75) {
      const units = 1 + pick(20)
      if ((await world.spend(units, undefined, { through, slot })) === 200) spent += units
    } else if (choice < 0.82) {
      const units = 50 + pick(400)
      credited += units
      await world.credit(units)
    } else if (choice < 0.87) await world.expire(through)
    else if (choice < 0.9) await world.choose(alerts.slice(pick(3)), through).catch(lostRace)
    else world.advance(choice < 0.97 ? pick(20_000) : choice < 0.995 ? pick(200_000) : DAY_MS)
  }

  let left = OPERATIONS
  const lane = async () => {
    while (left-- > 0) await operate()
  }
  await Promise.all(Array.from({ length: LANES }, lane))

  const numbers = async () => (await world.counter()) as Record<string, number>
  const { l = 0, f = 0, u = 0, y = 0, q = 0 } = await numbers()
  expect(l + f + u + y).toBe(credited)
  const stored = (await world.counter()).i as Uint8Array
  expect({ left: l, floor: f }).toEqual(balanceParts(l + f, { size: q, alerts: stored }))
  expect(
    openIn({ item: await world.counter() }).reduce((sum, { units }) => sum + units, 0),
  ).toBeLessThanOrEqual(y)
  expect(u).toBe(known.reduce((sum, { covered = 0 }) => sum + covered, spent))
  const usage = await readUsage(world.ports, world.accountId, {})
  expect(usage.days.reduce((sum, { units }) => sum + units, 0)).toBe(u)
  const byService = usage.days.flatMap(({ keys }) => keys).filter(({ id }) => id === SERVICE_KEY_ID)
  expect(byService.reduce((sum, { units }) => sum + units, 0)).toBe(
    (await numbers())[keyUseAttribute(SERVICE_SLOT)] ?? 0,
  )

  // Each crossing of an alert is handed over once.
  await world.credit(0)
  const told = await world.table.list(keys.account(world.accountId), 'ALERT#')
  expect(told.map(({ below }) => below).sort()).toEqual(world.crossings.map(({ below }) => below).sort())

  // In the end everything is left or used, though nobody comes again but the job.
  world.advance(3_700_000)
  await world.expire()
  const end = await numbers()
  expect([end.y, Number(end.l) + Number(end.f), end.v]).toEqual([0, credited - u, undefined])
}

test(`${RUNS} random histories: each reservation ends once, each alert is told once a crossing, and all units are left, used or held`, async () => {
  await check(asyncProperty(integer(), history), { numRuns: RUNS, seed: 20261128, endOnFailure: true })
}, 120_000)
