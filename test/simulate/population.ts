import { defaultCatalogue } from '../../core/purchases/catalogue.ts'

/** Accounts of about the same use. */
export interface Cohort {
  /** The rank of the first one by its use, from 1. */
  rank: number
  size: number
  /** Units that each of them uses in a month. */
  unitsPerMonth: number
  /** The units of the bundle that suits the use; undefined for accounts that live on the trial. */
  bundleUnits: number | undefined
}

/** Each of the first accounts is a cohort of its own. */
const ALONE = 10
/** Further cohorts grow by this. */
const GROWTH = 1.25
/** An account takes the smallest bundle that lasts for so much of a month. */
const LASTS_FOR = 1 / 5

const { trialUnits, plans } = defaultCatalogue
const bundles = plans.map(({ units }) => units).sort((a, b) => a - b)

/** The bundle that suits a use; the trial suits a use of as many units as it gives. */
function bundleFor(unitsPerMonth: number): number | undefined {
  if (unitsPerMonth <= trialUnits) return undefined
  return bundles.find((units) => units >= unitsPerMonth * LASTS_FOR) ?? bundles.at(-1)
}

/**
 * Accounts by their use, which follows Zipf's law: the account of rank r uses a share that is proportional to 1 / r^s.
 * @param units what all of them use in a month
 */
export function cohortsOf(accounts: number, units: number, s: number): Cohort[] {
  const cohorts: { rank: number; size: number; weight: number }[] = []
  for (let rank = 1; rank <= accounts; ) {
    const size = rank <= ALONE ? 1 : Math.min(Math.ceil(rank * (GROWTH - 1)), accounts - rank + 1)
    const middle = rank + (size - 1) / 2
    cohorts.push({ rank, size, weight: middle ** -s })
    rank += size
  }
  const whole = cohorts.reduce((sum, { size, weight }) => sum + size * weight, 0)
  return cohorts.map(({ rank, size, weight }) => {
    const unitsPerMonth = (units * weight) / whole
    return { rank, size, unitsPerMonth, bundleUnits: bundleFor(unitsPerMonth) }
  })
}
