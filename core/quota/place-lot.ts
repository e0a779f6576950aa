import { type Expression, expr, unchangedSince } from '../table/expression.ts'
import { type FirstLot, type LotGroup, NO_DAY } from './lots.ts'

/** Units that are credited and expire. */
export interface NewLot {
  units: number
  /** The day on which they expire (UTC, days since 1970). */
  day: number
}

/** What is known of an account's lots when a new one comes. */
export interface KnownLots {
  /** Those that have begun and have not ended, by day. */
  groups: readonly LotGroup[]
  /** Whether there is any item of a lot that has begun and expires after the new one, used up or not. */
  hasLater: boolean
  /** Units used so far, as read. More may be used when the write takes effect. */
  used: number
}

/** Parts of a write of the counter. */
export interface CounterParts {
  set: readonly Expression[]
  remove: readonly Expression[]
  conditions: readonly Expression[]
}

/**
 * The condition that the counter's lots are as they were read. Without lots it needs none: they come with an entry of
 * the ledger, and every write has a condition on that. `P` never changes while `Q` stays.
 */
export const sameLots = (first: FirstLot | undefined): Expression[] =>
  first ? [unchangedSince({ E: first.day, M: first.mark, Q: first.rest?.day }, ['E', 'M', 'Q'])] : []

/** What a write says of the lots that takes units back: those that expire first are taken first. */
export const takeFromLots = (first: FirstLot | undefined, taken: number): CounterParts =>
  first && taken > 0
    ? { set: [expr`#M = #M - ${taken}`], remove: [], conditions: sameLots(first) }
    : { set: [], remove: [], conditions: [] }

/**
 * What a write says of the lots that credits a lot, and may take units back as well. The counter has no rest then
 * (`flushRest`). A lot that was used up when the counter was read stays so until the ledger moves on. But a lot that the
 * new one follows or precedes may be used up meanwhile, which the condition on `u` sees.
 */
export function placeLot(
  first: FirstLot | undefined,
  { groups, hasLater, used }: KnownLots,
  lot: NewLot,
  taken: number,
): CounterParts {
  const live = groups.filter(({ mark }) => mark > used)
  const [head] = live
  const before = live.findLast(({ day }) => day <= lot.day)
  if (head && before) {
    const mark = head.mark - taken + (head.day === lot.day ? lot.units : 0)
    return {
      set: [expr`#E = ${head.day}, #M = ${mark}`],
      remove: [],
      conditions: [...sameLots(first), expr`#u <= ${before.mark}`],
    }
  }
  return {
    set: [
      expr`#E = ${lot.day}, #M = #u + ${lot.units - taken}`,
      ...(hasLater ? [expr`#P = ${head?.mark ?? 0} - #u, #Q = ${head?.day ?? NO_DAY}`] : []),
    ],
    remove: [],
    // Use beyond the lot that follows would come from those after it, of which the counter knows nothing.
    conditions: [...sameLots(first), ...(head ? [expr`#u <= ${head.mark}`] : [])],
  }
}
