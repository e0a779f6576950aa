import { isNobodys, readAccount } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import { readPlans } from '../plans/current.ts'
import type { Deps } from '../ports.ts'
import { unitsOwed } from '../purchases/owed-units.ts'
import { DEFAULT_LOW_PERCENT, DEFAULT_RENEWAL_PERCENT } from '../quota/thresholds.ts'

/** The units of an account. */
export interface AccountUnits {
  left: number
  used: number
  /** Units of open reservations, neither left nor used. */
  reserved: number
  owed: number
  /** The plan that the account holds; undefined without one. */
  bundle: string | undefined
  /** Units of that plan; 0 without one. */
  bundleUnits: number
}

/** The units of an account, with one read. @throws DomainError `not_found` */
export async function readAccountUnits(deps: Deps<'table'>, accountId: string): Promise<AccountUnits> {
  const account = await readAccount(deps, accountId)
  if (!account?.quota || isNobodys(account)) throw new DomainError('not_found')
  const { left, used, held, size } = account.quota
  const { bundle } = account
  return { left, used, reserved: held, owed: unitsOwed(account), bundle, bundleUnits: size }
}

/** How many units accounts get, in the trial and with each plan that is sold now, and when more are called for. */
export interface DefaultUnits {
  trialUnits: number
  /** The shares of `units` below which the owner is told, and the plan renews. */
  plans: { name: string; units: number; lowPercent: number; renewalPercent: number }[]
}

/** The units of the plans as they are sold now, with one read. */
export async function readDefaultUnits(deps: Deps<'table'>): Promise<DefaultUnits> {
  const { catalogue } = await readPlans(deps)
  const plans = catalogue.plans.map(({ name, units, lowPercent, renewalPercent }) => ({
    name,
    units,
    lowPercent: lowPercent ?? DEFAULT_LOW_PERCENT,
    renewalPercent: renewalPercent ?? DEFAULT_RENEWAL_PERCENT,
  }))
  return { trialUnits: catalogue.trialUnits, plans }
}
