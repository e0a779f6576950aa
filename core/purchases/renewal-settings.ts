import {
  type Account,
  type Profile,
  parseProfile,
  readAccount,
  renewsItself,
  requireActive,
} from '../account/account.ts'
import { DomainError } from '../errors.ts'
import { readRenewalLink } from '../notifications/renewal-link.ts'
import { isForNew, listedNames, offerNamed, type PlansVersion, readPlans } from '../plans/current.ts'
import { bundleToRenew, nameToRenew } from '../plans/held.ts'
import { bundleTerms, type Terms } from '../plans/terms.ts'
import type { Deps } from '../ports.ts'
import { moveThreshold } from '../quota/apply-ledger.ts'
import type { Quota } from '../quota/quota.ts'
import { startIfNeeded, wakeRenewal } from '../quota/renewal-call.ts'
import { attr, type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { isByLimit, isSameLimit, limitedRenewal, renewalObstacle } from './renewal.ts'
import { limitReached, type RenewalLimits } from './renewal-limits.ts'
import { changeRenewal, type Renewal, type RenewalChange } from './renewal-state.ts'

/** Attempts of a change that loses races with other writers of the profile. */
const SETTING_ATTEMPTS = 20

/** A change of the profile, derived from the account as it was read. */
interface Setting {
  change: RenewalChange
  set?: Expression[]
  remove?: Expression[]
  /** Conditions for what the change read besides the state of renewal. */
  unchanged?: Expression[]
  more?: Write[]
}

/**
 * Changes the profile as `build` says. If another writer was faster, the account is read again.
 * @param build returns undefined if there is nothing to change.
 * @returns whether something was changed.
 * @throws DomainError `account_deactivated`, `account_suspended` if `mayBeInactive` is not set,
 *   `temporarily_unavailable` after too many lost races
 */
async function changeSettings(
  deps: Deps<'table'>,
  caller: Account,
  build: (account: Account) => Setting | undefined,
  mayBeInactive = false,
): Promise<boolean> {
  let account: Account | undefined = caller
  for (let tries = 0; account && tries < SETTING_ATTEMPTS; tries++) {
    const setting = build(account)
    if (!setting) return false
    const { change, set = [], remove = [], unchanged = [], more = [] } = setting
    const isActive = expr`#status = ${'active'}`
    const updatedAt = expr`#updatedAtMs = ${deps.clock.nowMs()}`
    const update: Write = {
      update: keys.profile(account.id),
      set: setRemove([updatedAt, ...change.set, ...set], [...change.remove, ...remove]),
      if: join([...(mayBeInactive ? [] : [isActive]), change.unchanged, ...unchanged], ' AND '),
    }
    try {
      await writeAll(deps, [update, ...change.messages, ...more])
      return true
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      const profile = error.failed.get(0)
      if (profile && !mayBeInactive) requireActive(parseProfile(profile))
    }
    account = await readAccount(deps, caller.id)
  }
  throw new DomainError('temporarily_unavailable')
}

/** Switches auto-renewal and low-quota notices on or off. On renews a bundle that has run low. */
export async function setFlags(
  deps: Deps<'table' | 'renewals'>,
  caller: Account,
  flags: Profile['flags'],
): Promise<void> {
  await changeSettings(deps, caller, (account) => switchTo(deps, account, flags, 'switched_on'))
  if (flags.bundleAutoRenewal && !caller.flags.bundleAutoRenewal) await startIfNeeded(deps, caller)
}

function switchTo(
  deps: Deps,
  account: Account,
  flags: Profile['flags'],
  by: 'switched_on' | 'link',
): Setting {
  const isSwitchedOn = flags.bundleAutoRenewal && !account.flags.bundleAutoRenewal
  const obstacle = renewalObstacle(account)
  // An obstacle of a card that is no longer the default card is forgotten.
  const forget = obstacle === account.renewal ? {} : { renewal: obstacle }
  const change = changeRenewal(deps, account, { flags, ...forget }, { by })
  const mayRenewNow = isSwitchedOn && account.bundle !== undefined
  return { change, more: mayRenewNow ? [wakeRenewal(deps, account.id)] : [] }
}

/**
 * The owner's settings of renewal to change. Settings that are no property stay as they are; the value undefined
 * lifts the cap, or sets the default.
 */
export type RenewalSettings = { [Limit in keyof RenewalLimits]?: number | undefined } & {
  /** When the bundle renews itself: below 1 a share of the bundle held, from 1 on units. */
  below?: number | undefined
  /** Name of the bundle that renewals buy, as the catalogue writes it. By default they buy the one held. */
  renewalBundle?: string | undefined
}

/** What `withinLimits` reads besides the state of renewal. */
const LIMIT_FIELDS = [
  'renewed',
  'monthlyCapCents',
  'maxRenewalsPerHour',
  'maxRenewalsPerDay',
  'renewalBundle',
  'renewalPlan',
] as const

/**
 * Changes the owner's settings of renewal, and renews at once what is due by the new ones. A renewal that a
 * limit had stopped goes on if the new settings allow it. No renewal begins afterwards that they forbid: a
 * renewal begins only while they are as it read them.
 * @throws DomainError `invalid_request` if `below` is more than half of the bundle that renewals buy
 */
export async function setRenewal(
  deps: Deps<'table' | 'renewals'>,
  caller: Account,
  changes: RenewalSettings,
): Promise<void> {
  const { below, ...limits } = changes
  const movesThreshold = Object.hasOwn(changes, 'below') || Object.hasOwn(changes, 'renewalBundle')
  const plans = needsPlans(changes, caller) ? await readPlans(deps) : undefined
  let quota: Quota | undefined
  await changeSettings(deps, caller, (account) => {
    const inProfile = { ...limits, ...chosenPlan(account, changes, plans) }
    const given = Object.entries(inProfile)
    const after = { ...account, ...inProfile }
    const levels = levelsOf(after, Object.hasOwn(changes, 'below') ? below : account.quota?.below)
    if (below !== undefined) requireHalf(below, after, plans)
    quota = account.quota && { ...account.quota, ...levels }
    const change = changeRenewal(deps, after, withinLimits(after, deps.clock.nowMs()), { by: 'allowed' })
    return {
      change,
      set: given.flatMap(([setting, value]) =>
        value === undefined ? [] : [expr`${attr(setting)} = ${value}`],
      ),
      remove: given.flatMap(([setting, value]) => (value === undefined ? [expr`${attr(setting)}`] : [])),
      unchanged: [
        // Only a renewal that a limit has stopped depends on the limits and on what was renewed.
        ...(account.renewal && isByLimit(account.renewal) ? [unchangedSince(account, LIMIT_FIELDS)] : []),
        ...(movesThreshold ? [unchangedSince(account, ['renewalBundle', 'renewalPlan'])] : []),
        // The terms of the bundle held are those of the choice.
        ...(changes.renewalBundle === undefined ? [] : [unchangedSince(account, ['bundle', 'plan'])]),
      ],
      more: [
        movesThreshold && account.quota
          ? { update: keys.quota(account.id), ...moveThreshold(deps, account.id, account.quota, levels) }
          : wakeRenewal(deps, account.id),
      ],
    }
  })
  await startIfNeeded(deps, { id: caller.id, quota })
}

/** Whether a change depends on what is sold: it chooses a bundle, or units before the first bundle. */
const needsPlans = ({ below = 0, renewalBundle }: RenewalSettings, { bundle }: Account): boolean =>
  renewalBundle !== undefined || (below >= 1 && bundle === undefined)

/**
 * The bundle that renewals buy from now on, by the terms of this moment; of the bundle held, those with which it was
 * taken. No field if the owner chooses none.
 * @throws DomainError `invalid_request` for a bundle that the account may not take
 */
function chosenPlan(
  account: Account,
  changes: RenewalSettings,
  plans: PlansVersion | undefined,
): { renewalBundle?: string | undefined; renewalPlan?: Terms | undefined } {
  if (!Object.hasOwn(changes, 'renewalBundle')) return {}
  const { renewalBundle } = changes
  if (renewalBundle === undefined || !plans) return { renewalBundle: undefined, renewalPlan: undefined }
  if (renewalBundle === account.bundle) return { renewalBundle, renewalPlan: account.plan }
  const offer = offerNamed(plans, renewalBundle)
  if (offer?.bundle.name === renewalBundle && isForNew(offer.plan))
    return { renewalBundle, renewalPlan: bundleTerms(offer.bundle) }
  const message = `must be one of ${listedNames(plans.catalogue).join(', ')}`
  throw new DomainError('invalid_request', { fields: [{ field: 'bundle', message }] })
}

/** The threshold of an account with these settings. */
function levelsOf(account: Account, below: number | undefined): Pick<Quota, 'below' | 'renewalSize'> {
  const isChosen = account.renewalBundle !== undefined
  return { below, renewalSize: isChosen ? bundleToRenew(account)?.units : undefined }
}

/** @throws DomainError `invalid_request` if `below` is more than half of the bundle */
function requireHalf(below: number, account: Account, plans: PlansVersion | undefined): void {
  const bundle = nameToRenew(account)
  // Before the first bundle any bundle may become the one held; a smaller one then lowers the number.
  const sizes =
    bundle === undefined
      ? (plans?.catalogue.plans ?? []).map(({ units }) => units)
      : [bundleToRenew(account)?.units ?? []].flat()
  const most = Math.floor(Math.max(...sizes) / 2)
  if (sizes.length === 0 || below <= most) return
  const what = bundle === undefined ? 'the largest bundle' : `the ${bundle} bundle that renewals buy`
  const message = `must be at most ${most}, half of ${what}`
  throw new DomainError('invalid_request', { fields: [{ field: 'below', message }] })
}

/** The state of renewal that the limits leave; no field if they do not change it. */
function withinLimits(account: Account, nowMs: number): { renewal?: Renewal | undefined } {
  const { renewal } = account
  const bundle = bundleToRenew(account)
  if (!renewal || !isByLimit(renewal) || !bundle) return {}
  const limit = limitReached(account, bundle.priceCents, nowMs)
  if (!limit) return { renewal: undefined }
  if (isSameLimit(renewal, limit)) return {}
  return { renewal: limitedRenewal(limit, renewal, nowMs) }
}

/**
 * Does what a mailed link says, without a sign-in. Safe to repeat: a link that has done its work does nothing
 * more.
 * @returns whether auto-renewal is off or goes on by this link; `nothing held back` if the hold that the link
 *   could end is over already.
 * @throws DomainError `invalid_code` for a code that is not Bursar's or has expired, and for an account that
 *   is gone
 */
export async function useRenewalLink(
  deps: Deps<'table' | 'keyring'>,
  code: string,
): Promise<'stopped' | 'allowed' | 'nothing held back'> {
  const link = readRenewalLink(deps, code)
  const account = link && (await readAccount(deps, link.accountId))
  if (!account) throw new DomainError('invalid_code')
  let goesOn = false
  const isChanged = await changeSettings(
    deps,
    account,
    (now) => {
      goesOn = renewsItself(now) && now.renewal === undefined
      return link.act === 'stop' ? stopRenewal(deps, now) : allowRenewals(deps, now, link.heldAtMs)
    },
    // Stopping charges is right whatever the state of the account.
    true,
  )
  if (link.act === 'stop') return 'stopped'
  // A repeat of what has succeeded is answered as the success that it was.
  return isChanged || goesOn ? 'allowed' : 'nothing held back'
}

function stopRenewal(deps: Deps, account: Account): Setting | undefined {
  const { flags } = account
  if (!flags.bundleAutoRenewal) return undefined
  return switchTo(deps, account, { ...flags, bundleAutoRenewal: false }, 'link')
}

/** Ends the hold and counts from 0 again, so that as many renewals as before are allowed at once. */
function allowRenewals(deps: Deps, account: Account, heldAtMs: number): Setting | undefined {
  const { renewal, renewed } = account
  if (renewal?.state !== 'held_back' || renewal.heldAtMs !== heldAtMs) return undefined
  const change = changeRenewal(deps, account, { renewal: undefined }, { by: 'allowed' })
  return {
    change,
    set: renewed ? [expr`#renewed = ${{ ...renewed, recent: [] }}`] : [],
    unchanged: [unchangedSince(account, ['renewed'])],
    more: [wakeRenewal(deps, account.id)],
  }
}
