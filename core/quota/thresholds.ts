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
  /** The balance fell below 10 % of the bundle. */
  notice: boolean
  /** The balance fell below 1 % of the bundle. */
  renewal: boolean
}

/**
 * Thresholds for a bundle of `size` units: a balance below them calls for action. 0 before the first bundle.
 */
const noticeAt = (size: number): number => Math.ceil(size / 10)
const renewalAt = (size: number): number => Math.ceil(size / 100)

/** Splits a balance at the highest threshold of the bundle that the balance has not fallen below. */
export function balanceParts(balance: number, size: number): BalanceParts {
  const floor = [noticeAt(size), renewalAt(size)].find((threshold) => balance >= threshold) ?? 0
  return { left: balance - floor, floor }
}

/** Which thresholds of a bundle are crossed when the floor moves down from `from` to `to`. */
export const crossedThresholds = (from: number, to: number, size: number): CrossedThresholds => ({
  notice: from >= noticeAt(size) && to < noticeAt(size),
  renewal: from >= renewalAt(size) && to < renewalAt(size),
})

/** Whether the balance is low enough for a low-quota notice. */
export const isLowQuota = (balance: number, size: number): boolean => balance < noticeAt(size)

/** Whether the balance is low enough for a renewal. */
export const needsRenewal = (balance: number, size: number): boolean => balance < renewalAt(size)
