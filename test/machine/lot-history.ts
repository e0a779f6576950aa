import { strict as assert } from 'node:assert'
import { DAY_MS, HOUR_MS } from '../../core/time.ts'
import { BREAK_KINDS, breaking } from './faults.ts'
import { type LotWorld, lotModel, nextComing, openLotWorld } from './lot-world.ts'
import { dawdling, openQuotaWorld } from './quota-world.ts'
import { randomFrom } from './random.ts'

const START_UNITS = 300
const OPERATIONS = 160

/** More than an operator gives in these lives, so that the ledger tells the two apart. */
const MONTHLY_UNITS = 70

/** Days of a month on which units come. Not every month has the last one. */
const DAYS_OF_MONTH = [1, 21, 30, 31]

/** A reservation or a lease as its client knows it. */
interface Held {
  id: string
  units: number
  isLease: boolean
}

/** Lots of a day that is over may be there as long as units of them are held, for a day. */
function merged(expiring: readonly { units: number; day: number }[], today: number) {
  const late = expiring.filter(({ day }) => day <= today).reduce((sum, { units }) => sum + units, 0)
  return [late, ...expiring.filter(({ day }) => day > today)]
}

/**
 * A random life, one thing after the other: units that expire and others are credited, spent, held, given back and taken
 * back, and the clock moves on. After each step the counter is as a person would count. What ends lots and what applies
 * the ledger breaks off at random and is tried again.
 * @throws AssertionError
 */
export async function liveWithLots(seed: number, open = openQuotaWorld): Promise<void> {
  const random = randomFrom(seed)
  const pick = (limit: number) => Math.floor(random() * limit)
  const world = await openLotWorld(open, { left: START_UNITS, size: 1000 })
  const model = lotModel(START_UNITS, world.today())
  const held: Held[] = []
  const dayOfMonth = DAYS_OF_MONTH[pick(DAYS_OF_MONTH.length)] ?? 1
  const months = { isActive: true, until: 0 }
  await world.takePlan(MONTHLY_UNITS, Date.UTC(2026, 9, dayOfMonth))
  model.credit(1)

  /** Does something that may break off, until it does not. */
  async function insistently(work: (through: typeof world.ports) => Promise<unknown>): Promise<void> {
    while (random() < 0.3) {
      const point = { at: 1 + pick(12), kind: BREAK_KINDS[pick(BREAK_KINDS.length)] ?? 'crash-after' }
      await work(breaking(world.ports, point).ports).catch(() => undefined)
    }
    await work(world.ports)
  }

  const moved = async () => model.moveTo((await world.numbers()).day)

  async function spend(): Promise<void> {
    const units = 1 + pick(90)
    // A container remembers a refusal for a second.
    world.advance(1_001)
    const told = await world.spend(units)
    await moved()
    if (told === 200) assert.equal(model.state.day >= world.today(), true, 'units are spent on their day')
    assert.deepEqual([units, told], [units, units <= model.left() ? 200 : 402])
    if (told === 200) model.use(units)
  }

  async function hold(): Promise<void> {
    const units = 1 + pick(120)
    const isLease = random() < 0.5
    const how = { ttlSeconds: 1 + pick(3600) }
    const answer = isLease ? await world.lease(units, how) : { ...(await world.reserve(units, how)), units }
    await moved()
    if (answer.told !== 200) return
    model.hold(answer.units)
    held.push({ id: answer.id, units: answer.units, isLease })
  }

  async function end(): Promise<void> {
    const [one] = held.splice(pick(held.length), 1)
    if (!one) return
    const used = pick(one.units * 2)
    const keep = one.isLease && random() < 0.5 ? 1 + pick(100) : 0
    const before = await world.numbers()
    const answer = one.isLease
      ? await world.report(one.id, used, { keep, ttlSeconds: 1 + pick(3600) })
      : { ...(await world.settle(one.id, used)), id: one.id, units: 0 }
    await moved()
    // The job may have ended it before, and a late report takes from what is left.
    const after = await world.numbers()
    model.hold(after.held - before.held)
    model.use(after.used - before.used)
    if (answer.units > 0) held.push({ id: answer.id, units: answer.units, isLease: true })
  }

  async function expireHeld(): Promise<void> {
    const before = await world.numbers()
    await world.expire()
    await moved()
    const after = await world.numbers()
    model.hold(after.held - before.held)
    model.use(after.used - before.used)
  }

  async function credit(): Promise<void> {
    // Several entries may wait for the counter, some of which take units at once.
    for (let more = 1 + pick(2); more > 0; more--) {
      const units = 1 + pick(150)
      const days = random() < 0.75 ? [0.2, 1, 2, 3, 7, 20][pick(6)] : undefined
      const owed = random() < 0.3 ? pick(units) : 0
      const day = days === undefined ? undefined : Math.ceil((world.nowMs() + days * DAY_MS) / DAY_MS)
      await world.append([
        {
          kind: 'sale',
          units,
          amountCents: 0,
          ...(days !== undefined && { expiresAtMs: world.nowMs() + days * DAY_MS }),
        },
        ...(owed > 0 ? [{ kind: 'return' as const, units: -owed, amountCents: 0 }] : []),
      ])
      model.credit(units, day)
      model.take(owed)
    }
    await insistently((through) => world.applyLedger(through))
  }

  async function grant(key: string): Promise<void> {
    const units = 1 + pick(60)
    const days = [0.2, 1, 4, 9, undefined][pick(5)]
    const expiresAtMs = days === undefined ? undefined : world.nowMs() + days * DAY_MS
    await insistently((through) => world.grant({ units, expiresAtMs, key }, through))
    model.credit(units, expiresAtMs === undefined ? undefined : Math.ceil(expiresAtMs / DAY_MS))
  }

  async function grantMonth(): Promise<void> {
    const today = world.today()
    await insistently((through) => world.grantMonthly(through))
    if (!months.isActive || today < months.until) return
    months.until = nextComing(today, dayOfMonth)
    model.credit(MONTHLY_UNITS, months.until)
  }

  async function block(): Promise<void> {
    await (months.isActive ? world.suspend() : world.resume())
    months.isActive = !months.isActive
  }

  async function take(): Promise<void> {
    const units = Math.min(pick(60), model.left())
    await world.take(units)
    model.take(units)
  }

  async function endLots(): Promise<void> {
    await insistently((through) => world.endLots(through))
    await moved()
  }

  async function operate(step: number): Promise<void> {
    const choice = random()
    if (choice < 0.25) await spend()
    else if (choice < 0.38) await hold()
    else if (choice < 0.5) await end()
    else if (choice < 0.55) await expireHeld()
    else if (choice < 0.65) await credit()
    else if (choice < 0.68) await grant(`grant-${step}`)
    else if (choice < 0.71) await grantMonth()
    else if (choice < 0.72) await block()
    else if (choice < 0.75) await take()
    else if (choice < 0.85) await endLots()
    else world.advance(choice < 0.9 ? pick(HOUR_MS) : choice < 0.97 ? pick(DAY_MS) : pick(4 * DAY_MS))
  }

  for (let step = 0; step < OPERATIONS; step++) {
    await operate(step)
    await agree(world, model, `step ${step} of ${seed}`)
  }
  await endOfAll(world, model, `end of ${seed}`, expireHeld, endLots)
}

async function agree(world: LotWorld, model: ReturnType<typeof lotModel>, title: string): Promise<void> {
  await world.checkBooks(title, START_UNITS)
  const { left, used, held, unbooked, expired, day, expiring } = await world.numbers()
  const { state } = model
  assert.deepEqual(
    { title, left, used, held, expired: expired + unbooked, expiring: merged(expiring, day) },
    {
      title,
      left: model.left(),
      used: state.used,
      held: state.held,
      expired: state.expired,
      expiring: merged(model.expiring(), day),
    },
  )
}

/** Once all lots are over and nothing is held, no trace of a lot is left. */
async function endOfAll(
  world: LotWorld,
  model: ReturnType<typeof lotModel>,
  title: string,
  expireHeld: () => Promise<void>,
  endLots: () => Promise<void>,
): Promise<void> {
  world.advance(2 * HOUR_MS)
  await expireHeld()
  for (const days of [30, 1, 1]) {
    world.advance(days * DAY_MS)
    await endLots()
  }
  await agree(world, model, title)
  const { unbooked, expiring, held } = await world.numbers()
  const { E, M, P, Q } = await world.counter()
  assert.deepEqual(
    { title, unbooked, expiring, held, first: [E, M, P, Q], lots: await world.lots() },
    {
      title,
      unbooked: 0,
      expiring: [],
      held: 0,
      first: [undefined, undefined, undefined, undefined],
      lots: [],
    },
  )
}

const LANES = 6

/**
 * The same with several processes at once, each of which is slow in its own way. Only what holds in any order is asked.
 * @throws AssertionError
 */
export async function liveTogetherWithLots(seed: number, open = openQuotaWorld): Promise<void> {
  const random = randomFrom(seed)
  const pick = (limit: number) => Math.floor(random() * limit)
  const world = await openLotWorld(open, { left: START_UNITS, size: 1000 })
  const containers = [0, 1, 2].map((n) => dawdling(world.ports, () => pick(n * 2 + 1)))
  const ids: string[] = []
  let credited = 0
  await world.takePlan(MONTHLY_UNITS)

  async function operate(): Promise<void> {
    const through = containers[pick(3)] ?? world.ports
    const choice = random()
    if (choice < 0.4) await world.spend(1 + pick(25), undefined, { through })
    else if (choice < 0.5) {
      const { id, told } = await world.lease(1 + pick(60), { through, ttlSeconds: 1 + pick(600) })
      if (told === 200) ids.push(id)
    } else if (choice < 0.62) {
      const id = ids[pick(ids.length)]
      const kept = id && (await world.report(id, pick(50), { through, keep: pick(2) * pick(50) }))
      if (kept && kept.told === 200 && kept.units > 0) ids.push(kept.id)
    } else if (choice < 0.72) {
      const units = 1 + pick(100)
      const isExpiring = random() < 0.75
      try {
        await world.sell(units, isExpiring ? [1, 2, 5, 9][pick(4)] : undefined)
        if (isExpiring) credited += units
      } catch {
        // Another lane has taken the number.
      }
      await world.functions.applyLedger(through, world.accountId).catch(busy)
    } else if (choice < 0.77) await world.endLots(through)
    else if (choice < 0.79) await world.grantMonthly(through)
    else if (choice < 0.81) {
      const expiresAtMs = world.nowMs() + (1 + pick(9)) * DAY_MS
      await world.grant({ units: 1 + pick(60), expiresAtMs, key: `grant-${choice}` }, through).catch(late)
    } else if (choice < 0.84) await world.expire(through)
    else world.advance(choice < 0.95 ? pick(HOUR_MS) : pick(2 * DAY_MS))
    const { left, held, unbooked } = await world.numbers()
    assert.ok(Math.min(left, held, unbooked) >= 0, `seed ${seed}: nothing is below zero`)
  }

  let operations = OPERATIONS
  const lane = async () => {
    while (operations-- > 0) await operate()
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  await world.applyLedger()
  world.advance(2 * HOUR_MS)
  await world.expire()
  for (const days of [30, 1, 1]) {
    world.advance(days * DAY_MS)
    await world.endLots()
  }
  await world.checkBooks(`end of seed ${seed}`, START_UNITS)
  const { used, unbooked, expired, held, expiring } = await world.numbers()
  assert.deepEqual(
    { seed, unbooked, held, expiring, lots: await world.lots() },
    { seed, unbooked: 0, held: 0, expiring: [], lots: [] },
  )
  const grants = await world.grants()
  const ends = grants.filter(({ units }) => units === MONTHLY_UNITS).map(({ expiresAtMs }) => expiresAtMs)
  assert.equal(new Set(ends).size, ends.length, `seed ${seed}: the units of a month come once`)
  credited += grants.reduce((sum, { units }) => sum + Number(units), 0)
  // Whatever the order, units that expire are used before others, and no more expire than were credited.
  assert.ok(
    expired <= credited && expired >= credited - used,
    `seed ${seed}: ${expired} of ${credited} expired`,
  )
}

/** Another lane may have moved the clock past the expiry. */
function late(error: unknown): void {
  if ((error as { code?: string }).code !== 'invalid_request') busy(error)
}

function busy(error: unknown): void {
  if ((error as { code?: string }).code !== 'temporarily_unavailable') throw error
}
