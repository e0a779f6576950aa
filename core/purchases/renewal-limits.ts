import type { Profile } from '../account/account.ts'
import { DAY_MS, HOUR_MS, nextMonthMs } from '../time.ts'

type Renewed = NonNullable<Profile['renewed']>
type RecentRenewals = NonNullable<Renewed['recent']>

/** How many renewals an hour and a day may have unless the owner allows more. */
const DEFAULT_MAX_PER_HOUR = 3
const DEFAULT_MAX_PER_DAY = 10

/** The owner's limits on renewals. */
export type RenewalLimits = Pick<Profile, 'monthlyCapCents' | 'maxRenewalsPerHour' | 'maxRenewalsPerDay'>

export const maxPerHour = ({ maxRenewalsPerHour }: Pick<Profile, 'maxRenewalsPerHour'>): number =>
  maxRenewalsPerHour ?? DEFAULT_MAX_PER_HOUR

export const maxPerDay = ({ maxRenewalsPerDay }: Pick<Profile, 'maxRenewalsPerDay'>): number =>
  maxRenewalsPerDay ?? DEFAULT_MAX_PER_DAY

/** Why renewals stop by the owner's limits, and when they go on by themselves, epoch ms. */
export type LimitReached =
  | { state: 'capped'; reason: 'monthly_cap'; nextAttemptAtMs: number }
  | { state: 'held_back'; reason: 'hourly_limit' | 'daily_limit'; nextAttemptAtMs: number }

/**
 * The limit that forbids another renewal of `cents` at `nowMs`; undefined if none does. The monthly cap comes
 * first, because it lasts longest.
 */
export function limitReached(
  { renewed, ...limits }: RenewalLimits & Pick<Profile, 'renewed'>,
  cents: number,
  nowMs: number,
): LimitReached | undefined {
  const { monthlyCapCents } = limits
  if (monthlyCapCents !== undefined && renewedInMonth(renewed, nowMs).cents + cents > monthlyCapCents)
    return { state: 'capped', reason: 'monthly_cap', nextAttemptAtMs: nextMonthMs(nowMs) }
  const recent = renewed?.recent ?? []
  const hourEndsMs = windowEndsMs(recent, maxPerHour(limits), HOUR_MS, nowMs)
  const dayEndsMs = windowEndsMs(recent, maxPerDay(limits), DAY_MS, nowMs)
  if (hourEndsMs === undefined && dayEndsMs === undefined) return undefined
  const nextAttemptAtMs = Math.max(hourEndsMs ?? 0, dayEndsMs ?? 0)
  const reason = nextAttemptAtMs === dayEndsMs ? 'daily_limit' : 'hourly_limit'
  return { state: 'held_back', reason, nextAttemptAtMs }
}

/**
 * When fewer than `most` renewals lie within the last `withinMs`, epoch ms; undefined if that is so at
 * `nowMs`.
 */
function windowEndsMs(
  recent: RecentRenewals,
  most: number,
  withinMs: number,
  nowMs: number,
): number | undefined {
  const within = recent.filter(({ atMs }) => atMs > nowMs - withinMs)
  let total = within.reduce((sum, { count }) => sum + count, 0)
  if (total < most) return undefined
  for (const { atMs, count } of within) {
    total -= count
    if (total < most) return atMs + withinMs
  }
  return nowMs + withinMs
}

/** Cost and number of the renewals in the month of `atMs`. */
export function renewedInMonth(
  renewed: Renewed | undefined,
  atMs: number,
): { month: string; cents: number; count: number } {
  const month = monthOf(atMs)
  return renewed?.month === month
    ? { month, cents: renewed.cents, count: renewed.count ?? 0 }
    : { month, cents: 0, count: 0 }
}

/** The profile's account of renewals with one more, which charged `cents` at `atMs`. */
export function withRenewal({ renewed }: Pick<Profile, 'renewed'>, atMs: number, cents: number): Renewed {
  const { month, cents: before, count } = renewedInMonth(renewed, atMs)
  const recent = [...(renewed?.recent ?? []), { atMs, count: 1 }]
    .filter((each) => each.atMs > atMs - DAY_MS)
    .sort((a, b) => a.atMs - b.atMs)
  return { month, cents: before + cents, count: count + 1, recent: mergedTo(MOST_ENTRIES, recent) }
}

/** Up to this many renewals a day are counted to the millisecond. */
const MOST_ENTRIES = 48

/**
 * Merges neighbours until at most `most` entries are left, so that the profile stays small however many
 * renewals its owner allows. A merged entry has the later time: no renewal counts for less time than it should.
 * The entries that span the least time for their age are merged first, so that the last hour stays as exact as
 * the last day.
 */
function mergedTo(most: number, entries: RecentRenewals): RecentRenewals {
  if (entries.length <= most) return entries
  const timeOf = (at: number) => entries[at]?.atMs ?? 0
  const newestMs = timeOf(entries.length - 1)
  // The oldest entry begins where no entry tells: it is not merged, and falls out of the day soon.
  const span = (at: number) => (timeOf(at + 1) - timeOf(at - 1)) / (newestMs - timeOf(at + 1) + 1)
  const pairs = entries.slice(1, -1).map((_, at) => at + 1)
  const least = pairs.reduce((best, at) => (span(at) < span(best) ? at : best), 1)
  const [one, other] = entries.slice(least, least + 2)
  if (!one || !other) return entries
  const merged = { atMs: other.atMs, count: one.count + other.count }
  return mergedTo(most, [...entries.slice(0, least), merged, ...entries.slice(least + 2)])
}

/** The calendar month of a time in UTC, such as 2026-11. */
const monthOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 7)
