import { alertSteps, moveAlerts, unitsOf } from './alerts.ts'

/**
 * The counter stores the units above the next threshold (`left`) apart from the units under it (`floor`). An
 * ordinary consume therefore only needs `left >= units`, and a consume that does not fit crosses the
 * threshold.
 */
export interface BalanceParts {
  /** Units above the next threshold. */
  left: number
  /** Units under that threshold. The balance is `left + floor`. */
  floor: number
}

/** What becomes due when the balance crosses thresholds. */
export interface CrossedThresholds {
  /** The balance fell below `lowPercent` of the bundle. */
  notice: boolean
  /** The balance fell below the threshold of the renewal. */
  renewal: boolean
  /** The owner's alerts as they are then (`alerts.ts`), if the balance fell below the threshold of one. */
  alerts?: Uint8Array | undefined
}

/** What the thresholds depend on. */
export interface Levels {
  /** Units of the bundle held; 0 before the first bundle. */
  size: number
  /** The plan's own thresholds in per cent of its units; 10 and 1 if undefined. */
  lowPercent?: number | undefined
  renewalPercent?: number | undefined
  /** The owner's choice of when to renew: below 1 a share of the bundle held, from 1 on units. */
  below?: number | undefined
  /** Units of the bundle that a renewal buys, if its owner chose one; otherwise it buys the bundle held. */
  renewalSize?: number | undefined
  /** The owner's alerts as stored (`alerts.ts`). */
  alerts?: Uint8Array | undefined
}

/** When a bundle renews itself unless its owner or its plan says otherwise: below 1 % of it. */
export const DEFAULT_RENEWAL_PERCENT = 1

/** When an owner is told that few units are left, unless the plan says otherwise. */
export const DEFAULT_LOW_PERCENT = 10

/**
 * Thresholds for a bundle of `size` units: a balance below them calls for action. 0 before the first bundle.
 */
const noticeAt = ({ size, lowPercent = DEFAULT_LOW_PERCENT }: Levels): number =>
  Math.ceil((size * lowPercent) / 100)

/**
 * The owner's choice as it acts. A number of units counts up to half of the bundle that will be bought, so that
 * a renewal always lifts the balance above the threshold and does not call for the next one.
 */
export function effectiveBelow({
  size,
  renewalPercent = DEFAULT_RENEWAL_PERCENT,
  below = renewalPercent / 100,
  renewalSize = size,
}: Levels): number {
  return below < 1 || renewalSize === 0 ? below : Math.min(below, Math.floor(renewalSize / 2))
}

/** The units below which a renewal is due; 0 before the first bundle. */
export function renewalAt(levels: Levels): number {
  const below = effectiveBelow(levels)
  if (below < 1) return unitsOf(below, levels.size)
  return levels.size && below
}

/** All thresholds, in units. */
const stepsOf = (levels: Levels): number[] => [
  noticeAt(levels),
  renewalAt(levels),
  ...alertSteps(levels.alerts, levels.size),
]

/** Splits a balance at the highest threshold of the bundle that the balance has not fallen below. */
export function balanceParts(balance: number, levels: Levels): BalanceParts {
  const reached = stepsOf(levels).filter((threshold) => balance >= threshold)
  const floor = Math.max(0, ...reached)
  return { left: balance - floor, floor }
}

/**
 * The threshold above a floor, or Infinity: a balance from there on has a higher floor. Units that return from
 * reservations can lift a balance that far while a write is under way.
 */
export const thresholdAbove = (floor: number, levels: Levels): number =>
  Math.min(...stepsOf(levels).filter((threshold) => threshold > floor))

/** Which thresholds are crossed when the floor moves down from `from` to `to`. */
export function crossedThresholds(
  from: number,
  to: number,
  levels: Levels,
  nowMs: number,
): CrossedThresholds {
  const { size } = levels
  const crossed = (threshold: number) => from >= threshold && to < threshold
  const moved = { arms: false, nowMs }
  const alerts = moveAlerts(levels.alerts, { floor: from, size }, { floor: to, size }, moved)
  return { notice: crossed(noticeAt(levels)), renewal: crossed(renewalAt(levels)), alerts }
}

/** Whether a balance is low enough for a low-quota notice. */
export const isLowQuota = (balance: number, levels: Levels): boolean => balance < noticeAt(levels)

/** Whether a balance is so low that a renewal is due. */
export const isBelowRenewal = (balance: number, levels: Levels): boolean => balance < renewalAt(levels)
