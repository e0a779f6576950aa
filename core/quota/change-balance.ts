import type { Deps } from '../ports.ts'
import { type Expression, expr, unchangedSince } from '../table/expression.ts'
import { balanceOf, type Counter } from './counter.ts'
import { callByConsume } from './renewal-call.ts'
import { balanceParts, crossedThresholds, thresholdAbove } from './thresholds.ts'

/** The condition that the units above the floor are fewer, where there is a limit. */
export const staysUnder = (limit: number): Expression[] => (limit < Infinity ? [expr`#l < ${limit}`] : [])

/**
 * What a write of the counter says to change the units left by `units`, in step with the thresholds. It needs at least
 * one assignment and has them all.
 */
export function balanceChange(
  deps: Deps,
  accountId: string,
  units: number,
  seen: Counter,
): { sets: Expression[]; conditions: Expression[]; callsRenewal: boolean } {
  const { floor } = balanceParts(balanceOf(seen) + units, seen)
  const delta = units + seen.floor - floor
  const nowMs = deps.clock.nowMs()
  const crossed = crossedThresholds(seen.floor, floor, seen, nowMs)
  return {
    sets: [expr`#l = #l + ${delta}, #f = ${floor}`, ...callByConsume(accountId, nowMs, crossed)],
    conditions: [
      unchangedSince(seen.item, ['f', 's', 'q', 'b', 'w', 'i']),
      expr`#l >= ${Math.max(0, -delta)}`,
      ...staysUnder(thresholdAbove(floor, seen) - floor - delta),
    ],
    callsRenewal: crossed.renewal,
  }
}
