import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { attr, expr, join } from '../table/expression.ts'
import { DAY_PREFIX, dayKey, TOTALS, totalsKey } from '../table/keys.ts'
import type { Write } from '../table/table.ts'

/*
 * How the totals stay exact. Whatever changes an account announces an event in its own transaction, and the publisher marks
 * each event as published once, whatever crashes or repeats. The same transaction adds the event to the totals of its day.
 * So nothing is counted twice or forgotten, no request waits for a total, and no request costs more.
 *
 * Cost of an event that is counted: a transactional write (2 write units), and of a purchase or a refusal also a read and
 * a transactional write of the account's month (up to 6). Use is counted once for each day on which an account uses units.
 */

/** Counts by account. */
const COUNTS = ['accounts', 'confirmed', 'paying', 'purchases', 'refunds', 'disputes'] as const
/** Units. Those given are trials, grants and imports; those taken went back for refunds and disputes, or were taken. */
const UNITS = ['unitsSold', 'unitsGiven', 'unitsTaken', 'unitsExpired', 'unitsUsed'] as const
/** Money by currency, in its minor unit. What went back is less what came back again. */
const MONEY = ['revenueCents', 'refundedCents', 'disputedCents'] as const

type Count = (typeof COUNTS)[number] | (typeof UNITS)[number]
type Money = (typeof MONEY)[number]

/** What is added to the totals of a day: counts and units by name, and money by name and currency (ISO 4217). */
export type Additions = Partial<Record<Count | `${Money}:${string}`, number>>

/** What all accounts did on a day (UTC). */
export type DayTotals = Record<Count, number> & Record<Money, Record<string, number>> & { day: number }

/** Days of a span at most, which one Query reads. */
const MOST_DAYS = 400

/** A day's totals are in so many items, so that writes of different accounts rarely meet. */
const SHARDS = 8

/** The write that adds to the totals of a day (days since 1970), for the transaction that counts something once. */
export function totalWrites(accountId: string, day: number, adds: Additions): Write[] {
  const terms = Object.entries(adds)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => expr`${attr(name)} ${value}`)
  const shard = Number.parseInt(accountId.slice(-1), 16) % SHARDS
  return terms.length === 0
    ? []
    : [{ update: totalsKey(day, shard), set: join([expr`ADD `, join(terms, ', ')], '') }]
}

/**
 * The totals of each day from `from` to `to` (days since 1970, both included), also of days without any. One Query for up
 * to 1 MB, which is years.
 * @throws DomainError `invalid_request` for a span that is empty or longer than 400 days
 */
export async function readTotals(deps: Deps<'table'>, from: number, to: number): Promise<DayTotals[]> {
  if (to < from || to - from >= MOST_DAYS) {
    const message = `must be at most ${MOST_DAYS - 1} days before \`to\`, which is today if it is left out`
    throw new DomainError('invalid_request', { fields: [{ field: 'from', message }] })
  }
  const items = await deps.table.list(TOTALS, DAY_PREFIX, { between: [dayKey(from), `${dayKey(to)}~`] })
  const days = Array.from({ length: to - from + 1 }, (_, at) => noTotals(from + at))
  for (const { sk, pk: _, ...values } of items) {
    const totals = days[Number(String(sk).split('#')[1]) - from]
    if (!totals) continue
    for (const [name, value] of Object.entries(values)) add(totals, name, Number(value))
  }
  return days
}

const noTotals = (day: number): DayTotals => ({
  ...{ day, revenueCents: {}, refundedCents: {}, disputedCents: {} },
  ...(Object.fromEntries([...COUNTS, ...UNITS].map((name) => [name, 0])) as Record<Count, number>),
})

function add(totals: DayTotals, name: string, value: number): void {
  const [of = '', currency] = name.split(':')
  if (currency === undefined) {
    totals[of as Count] += value
    return
  }
  const money = totals[of as Money]
  money[currency] = (money[currency] ?? 0) + value
}
