/** GreenCloud's `below`: units, or a share of the bundle such as "1%". The domain has a share below 1. */

/** A share with at most two decimals. */
export const SHARE = /^(\d{1,2}(?:\.\d{1,2})?)%$/

const HUNDREDTHS = 10_000

const shareOf = (text: string): number => Math.round(Number(SHARE.exec(text)?.[1]) * 100) / HUNDREDTHS

/** Whether a text is a share from 0.01% to `most`, which is 50% unless given. */
export const isShare = (text: string, most = 0.5): boolean =>
  SHARE.test(text) && shareOf(text) > 0 && shareOf(text) <= most

export const belowOf = (value: number | string): number =>
  typeof value === 'string' ? shareOf(value) : value

export const shownBelow = (below: number): number | string =>
  below < 1 ? `${Math.round(below * HUNDREDTHS) / 100}%` : below
