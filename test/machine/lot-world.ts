import { strict as assert } from 'node:assert'
import { type Profile, readAccount } from '../../core/account/account.ts'
import { ledgerWrites, type NewEntry } from '../../core/ledger/entry.ts'
import type { Ports } from '../../core/ports.ts'
import { moveBalance } from '../../core/quota/apply-ledger.ts'
import { readCounter } from '../../core/quota/counter.ts'
import { readExpiring } from '../../core/quota/expiry.ts'
import { dayOf, parseQuota } from '../../core/quota/quota.ts'
import { expr, setRemove } from '../../core/table/expression.ts'
import { keys, monthlyKey } from '../../core/table/keys.ts'
import { DAY_MS } from '../../core/time.ts'
import { WHOLE_RUN } from './faults.ts'
import type { openQuotaWorld } from './quota-world.ts'

/** A world of the counter whose account has a ledger, so that units can be credited that expire. */
export async function openLotWorld(
  open: typeof openQuotaWorld,
  options: Parameters<typeof openQuotaWorld>[0] = {},
) {
  const world = await open(options)
  const { accountId, table, functions } = world
  const profileKey = keys.profile(accountId)
  await table.put({ ...profileKey, ...profileOf(accountId, world.nowMs()) })

  /** Appends entries as a purchase does. */
  async function append(entries: readonly NewEntry[]): Promise<void> {
    const before = Number((await table.get(profileKey))?.ledgerSeq)
    await table.transact([
      {
        update: profileKey,
        set: expr`SET #ledgerSeq = ${before + entries.length}`,
        if: expr`#ledgerSeq = ${before}`,
      },
      ...ledgerWrites(accountId, before, world.nowMs(), [...entries]),
    ])
  }

  const lotWorld = {
    ...world,
    append,
    today: () => dayOf(world.nowMs()),
    /** A sale of units, which expire when the day begins that is so many days from now, and are not in the counter yet. */
    sell: (units: number, days?: number): Promise<void> =>
      append([
        {
          kind: 'sale',
          units,
          amountCents: 0,
          ...(days !== undefined && { expiresAtMs: world.nowMs() + days * DAY_MS }),
        },
      ]),
    /** A sale whose units are in the counter. */
    credit: async (units: number, days?: number): Promise<void> => {
      await lotWorld.sell(units, days)
      await world.applyLedger()
    },
    /** Takes units back as a refund does, in one transaction. */
    take: async (units: number): Promise<void> => {
      await world.applyLedger()
      const quota = parseQuota(await world.counter())
      const seq = quota.seq + 1
      const change = await moveBalance(world.ports, accountId, quota, {
        units: -units,
        size: quota.size,
        seq,
      })
      await table.transact([
        { update: profileKey, set: expr`SET #ledgerSeq = ${seq}`, if: expr`#ledgerSeq = ${quota.seq}` },
        ...ledgerWrites(accountId, quota.seq, world.nowMs(), [
          { kind: 'return', units: -units, amountCents: 0 },
        ]),
        { update: keys.quota(accountId), ...change },
      ])
    },
    /** Runs the job that ends lots. */
    endLots: (through: Ports = world.ports) => functions.expireLots(through, WHOLE_RUN),
    /** What the counter and the ledger say, in units. */
    numbers: async () => {
      const counter = await readCounter(world.ports, accountId)
      const entries = await table.list(keys.account(accountId), 'LEDGER#')
      const expired = entries
        .filter(({ kind }) => kind === 'expiry')
        .reduce((sum, { units }) => sum - Number(units), 0)
      return {
        left: counter.aboveFloor + counter.floor,
        used: counter.used,
        held: counter.held,
        unbooked: Number(counter.item.X ?? 0),
        /** By the ledger. */
        expired,
        day: counter.day,
        expiring: (await readExpiring(world.ports, accountId, { ...counter, day: Number.MAX_SAFE_INTEGER }))
          .expiring,
      }
    },
    /** An operator gives units, in one request however often it is sent. */
    grant: (
      { units, expiresAtMs, key }: { units: number; expiresAtMs?: number | undefined; key: string },
      through: Ports = world.ports,
    ) =>
      functions.grantUnits({ ...through, origin: { by: 'operator', name: 'bob' } }, accountId, {
        ...{ units, expiresAtMs, reason: 'a test', idempotencyKey: key },
      }),
    /** Takes a plan as a purchase does. @param sinceMs settles on which day of the month its units come. */
    takePlan: async (monthlyUnits: number | undefined, sinceMs = world.nowMs()): Promise<void> => {
      await append([{ kind: 'sale', units: 1, amountCents: 0 }])
      const terms = { version: 0, units: 1, priceCents: 99, currency: 'USD' }
      const plan = monthlyUnits === undefined ? terms : { ...terms, monthlyUnits }
      await table.transact([
        { update: profileKey, set: expr`SET #bundle = ${'STARTER'}, #plan = ${plan}` },
        ...functions.monthlyDue(accountId, plan, sinceMs),
      ])
      await world.applyLedger()
    },
    /** Runs the job that gives the units of the month. */
    grantMonthly: (through: Ports = world.ports) => functions.grantMonthly(through, WHOLE_RUN),
    suspend: () => table.update(profileKey, expr`SET #status = ${'suspended'}`),
    resume: async (): Promise<void> => {
      const account = await readAccount(world.ports, accountId)
      if (!account) throw new Error('the account is gone')
      const { set, writes } = functions.reactivate(world.ports, account, 'nothing')
      await table.transact([{ update: profileKey, set: setRemove(set, []) }, ...writes])
    },
    /** The entries of the ledger that give units which nobody has paid for. */
    grants: async () =>
      (await table.list(keys.account(accountId), 'LEDGER#')).filter(({ kind }) => kind === 'grant'),
    monthly: () => table.get(monthlyKey(accountId)),
    lots: () => table.list(keys.account(accountId), 'LOT#'),
    /** Asserts that the units of all ledger entries are left, used, held or about to be booked as expired. */
    checkBooks: async (title: string, start: number): Promise<void> => {
      const { left, used, held, unbooked } = await lotWorld.numbers()
      const counter = await world.counter()
      const entries = await table.list(keys.account(accountId), 'LEDGER#')
      const credited = entries
        .filter(({ seq }) => Number(seq) <= Number(counter.s))
        .reduce((sum, { units }) => sum + Number(units), start)
      assert.deepEqual([title, left + used + held + unbooked], [title, credited])
      assert.deepEqual(
        [title, entries.map(({ seq }) => seq)],
        [title, entries.map((_, at) => at + 2)],
        'the ledger has no gaps',
      )
    },
  }
  return lotWorld
}

/** An active account with a ledger of one entry. */
const profileOf = (id: string, nowMs: number): Profile => ({
  ...{ id, username: 'ada', email: 'ada@mail.example', status: 'active', emailVerified: true },
  ...{
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    sessions: {},
    generation: 0,
    twofaTries: 0,
    twofaTriedAtMs: 0,
  },
  ...{ defaultKey: '', keyHash: '' },
  ...{ defaultKeyAtMs: nowMs, keyCount: 1, nextKeySlot: 1 },
  ...{ flags: { bundleAutoRenewal: true, lowQuotaNotification: true }, paid: false, balanceCents: 0 },
  ledgerSeq: 1,
})

export type LotWorld = Awaited<ReturnType<typeof openLotWorld>>

/** The next day (days since 1970) on which the units of a month come, as a person finds it in a calendar. */
export function nextComing(today: number, dayOfMonth: number): number {
  for (let day = today + 1; ; day++) {
    const date = new Date(day * DAY_MS).getUTCDate()
    const isLast = new Date((day + 1) * DAY_MS).getUTCDate() === 1
    if (date === dayOfMonth || (isLast && date < dayOfMonth)) return day
  }
}

/** Units as a person would count them: those of each lot, spent by hand. The counter must agree at any time. */
export function lotModel(start: number, startDay: number) {
  /** Units left or held, by the day on which they expire. */
  const lots = new Map<number, number>([[Number.POSITIVE_INFINITY, start]])
  const state = { used: 0, held: 0, expired: 0, day: startDay }
  const inOrder = () => [...lots].sort(([a], [b]) => a - b)
  const total = (upTo: number) =>
    inOrder()
      .filter(([day]) => day <= upTo)
      .reduce((sum, [, units]) => sum + units, 0)
  const left = () => total(Number.POSITIVE_INFINITY) - state.held

  function draw(units: number): void {
    let open = units
    for (const [day, has] of inOrder()) {
      const drawn = Math.min(open, has)
      lots.set(day, has - drawn)
      open -= drawn
    }
    assert.equal(open, 0, 'more units are drawn than there are')
  }

  return {
    state,
    left,
    credit: (units: number, day = Number.POSITIVE_INFINITY) =>
      void lots.set(day, (lots.get(day) ?? 0) + units),
    take: draw,
    use: (units: number) => {
      draw(units)
      state.used += units
    },
    hold: (units: number) => {
      state.held += units
    },
    /** What happens when the day begins. */
    moveTo: (day: number) => {
      if (day <= state.day) return
      const units = Math.min(left(), Math.max(total(state.day), total(day) - state.held))
      if (units > 0) {
        draw(units)
        state.expired += units
      }
      state.day = day
    },
    expiring: () => {
      let counted = 0
      return inOrder().flatMap(([day]) => {
        if (day === Number.POSITIVE_INFINITY) return []
        const upTo = Math.min(left(), Math.max(0, total(day) - state.held))
        const units = upTo - counted
        counted = Math.max(counted, upTo)
        return units > 0 ? [{ units, day }] : []
      })
    },
  }
}
