import type { EventData, EventTypeName } from '../events/catalogue.ts'
import type { StoredEvent } from '../events/stored-event.ts'
import type { Deps } from '../ports.ts'
import { useFinalAtMs } from '../quota/day-snapshot.ts'
import { dayOf } from '../quota/quota.ts'
import { expr } from '../table/expression.ts'
import { accountIdIn, dueAt, keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { type Measure, monthOfDay, monthWrites } from './months.ts'
import { type Additions, totalWrites } from './totals.ts'

/** What an event adds to the totals of its day, and to its account's month. */
interface Counted {
  adds?: Additions
  measures?: Partial<Record<Measure, number>>
}

/** How the totals count an event; those that are not here are not counted. */
const counting: { [T in EventTypeName]?: (data: EventData<T>) => Counted } = {
  'account.registered': () => ({ adds: { accounts: 1 } }),
  'account.confirmed': ({ trialUnits }) => ({ adds: { confirmed: 1, unitsGiven: trialUnits } }),
  'account.imported': ({ units }) => ({ adds: { accounts: 1, confirmed: 1, unitsGiven: units } }),
  'purchase.credited': ({ kind, units, amountCents, currency }) => ({
    adds: {
      ...{ purchases: 1, unitsSold: units, [`revenueCents:${currency}` as const]: amountCents },
      // An account signs up for a bundle once, with its first purchase.
      ...(kind === 'signup' && { paying: 1 }),
    },
    measures: { [`paid:${currency}` as const]: amountCents },
  }),
  'refund.applied': ({ units, amountCents, currency }) => ({
    adds: { refunds: 1, unitsTaken: -units, [`refundedCents:${currency}` as const]: amountCents },
  }),
  'refund.failed': ({ units, amountCents, currency }) => ({
    adds: { unitsTaken: -units, [`refundedCents:${currency}` as const]: -amountCents },
  }),
  'dispute.opened': ({ units, amountCents, currency }) => ({
    adds: { disputes: 1, unitsTaken: -units, [`disputedCents:${currency}` as const]: amountCents },
  }),
  'dispute.won': ({ units, amountCents, currency }) => ({
    adds: { unitsTaken: -units, [`disputedCents:${currency}` as const]: -amountCents },
  }),
  'units.granted': ({ units }) => ({ adds: { unitsGiven: units } }),
  'units.taken': ({ units }) => ({ adds: { unitsTaken: units } }),
  'units.collected': ({ units }) => ({ adds: { unitsTaken: units } }),
  'units.expired': ({ units }) => ({ adds: { unitsExpired: units } }),
  'quota.exhausted': () => ({ measures: { refused: 1 } }),
}

/** Events with which an account begins: they begin the count of its use, too. */
const FIRST: readonly string[] = ['account.registered', 'account.imported']

const countedOf = ({ type, data }: StoredEvent): Counted | undefined =>
  (counting[type as EventTypeName] as ((data: unknown) => Counted) | undefined)?.(data)

/** What an event adds to the totals of its day. */
export const additionsOf = (event: StoredEvent): Additions => countedOf(event)?.adds ?? {}

/** The writes that count an event, for the transaction that marks it as published. */
export async function countWrites(deps: Deps<'table'>, event: StoredEvent): Promise<Write[]> {
  const counted = countedOf(event)
  if (!counted) return []
  const { adds = {}, measures = {} } = counted
  const accountId = accountIdIn(event)
  const day = dayOf(event.atMs)
  return [
    ...totalWrites(accountId, day, adds),
    ...(await monthWrites(deps, accountId, monthOfDay(day), measures)),
    ...(FIRST.includes(event.type) ? [firstSnapshot(accountId, day)] : []),
  ]
}

/** The day before the first one, on which nothing was used. */
function firstSnapshot(accountId: string, day: number): Write {
  const { due, dueAtMs } = dueAt('USE', accountId, useFinalAtMs(day))
  return {
    update: keys.day(accountId, day - 1),
    set: expr`SET #u = if_not_exists(#u, ${0}), #c = if_not_exists(#c, ${{}}), #t = if_not_exists(#t, ${{}}), #due = if_not_exists(#due, ${due}), #dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`,
  }
}
