/**
 * The ladder: the counter keeps the units above the next threshold (`left`) apart from the units under it (`floor`),
 * so an ordinary consume needs no more than `left >= units`, and the one that does not fit is the one that crosses.
 */
export interface BalanceParts {
  /** Units to the next threshold. */
  left: number
  /** Units under it; the balance is their sum. */
  floor: number
}

/** What a crossing calls for. */
export interface CrossedThresholds {
  /** Left fell below 10 % of the bundle. */
  notice: boolean
  /** Left fell below 1 % of the bundle. */
  renewal: boolean
}

/** The least units that are no reason to act, of a bundle of `size` units; 0 before the first bundle. */
const noticeAt = (size: number): number => Math.ceil(size / 10)
const renewalAt = (size: number): number => Math.ceil(size / 100)

/** Where a balance stands on the ladder of a bundle. */
export function balanceParts(balance: number, size: number): BalanceParts {
  const floor = [noticeAt(size), renewalAt(size)].find((threshold) => balance >= threshold) ?? 0
  return { left: balance - floor, floor }
}

/** Which thresholds lie between two floors of one bundle. */
export const crossedThresholds = (from: number, to: number, size: number): CrossedThresholds => ({
  notice: from >= noticeAt(size) && to < noticeAt(size),
  renewal: from >= renewalAt(size) && to < renewalAt(size),
})

/** Whether so few units are left that the bundle renews itself. */
export const needsRenewal = (balance: number, size: number): boolean => balance < renewalAt(size)
