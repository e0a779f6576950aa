import type { Assumptions } from './assumptions.ts'
import { weightOfDay } from './hours.ts'
import type { Cohort } from './population.ts'
import type { Settings } from './settings.ts'

/** Requests a second of an account from which on its service takes leases. */
const LEASED_FROM = 50

/** What a day brings on average. */
export interface Day {
  isViral: boolean
  /** The part of a usual day's sign-ups and sign-ins. */
  weight: number
  /** Units that are spent by requests, of all but the busiest account, and those of the busiest. */
  units: number
  favourite: number
  /** Accounts that spend out of leases. */
  leasing: number
  /** Accounts that use anything. */
  users: number
  renewals: number
  favouriteRenewals: number
}

/** A day of the month, from 0, of these accounts. */
export function dayOf(cohorts: readonly Cohort[], day: number, settings: Settings, about: Assumptions): Day {
  const isViral = day === about.viral.day
  const weight = weightOfDay(day)
  const result: Day = {
    ...{ isViral, weight, units: 0, favourite: 0, leasing: 0, users: 0, renewals: 0, favouriteRenewals: 0 },
  }
  for (const { rank, size, unitsPerMonth, bundleUnits } of cohorts) {
    const favour = isViral ? (rank === 1 ? about.viral.favourite : 1) * about.viral.use : 1
    const units = (unitsPerMonth / 30) * weight * favour
    const renewals = bundleUnits === undefined ? 0 : units / bundleUnits
    result.users += size * (1 - Math.exp(-units))
    result.renewals += size * renewals
    if (rank === 1) result.favouriteRenewals = renewals
    if (settings.leases && units / 86_400 > LEASED_FROM) result.leasing += size
    else if (rank === 1) result.favourite = units
    else result.units += size * units
  }
  return result
}
