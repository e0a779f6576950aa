import { type Account, type Profile, renewsItself } from '../account/account.ts'
import type { StoredCustomer } from '../cards/stored-customer.ts'
import { bundleToRenew, type Holding, nameToRenew } from '../plans/held.ts'
import type { Bundle } from '../plans/terms.ts'
import type { Decline, Deps } from '../ports.ts'
import type { Quota } from '../quota/quota.ts'
import { needsRenewal } from '../quota/renewal-call.ts'
import { effectiveBelow } from '../quota/thresholds.ts'
import { type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'
import type { Purchase } from './purchase.ts'
import { type LimitReached, limitReached, maxPerDay, maxPerHour } from './renewal-limits.ts'
import { changeRenewal, type Renewal, type RenewalChange } from './renewal-state.ts'

/** Waits between the tries of a declined renewal; after the last try renewal pauses. */
const RENEWAL_BACKOFF_MS = [HOUR_MS, 3 * HOUR_MS, 7 * HOUR_MS]

/** The state of renewal after a decline. A decline that no retry can overcome pauses renewal at once. */
export function afterDecline(
  before: Renewal | undefined,
  cardId: string,
  decline: Decline,
  nowMs: number,
): Renewal {
  const failures = (before?.cardId === cardId ? before.failures : 0) + 1
  const waitMs = decline.retry === 'never' ? undefined : RENEWAL_BACKOFF_MS[failures - 1]
  const { reason } = decline
  return waitMs === undefined
    ? { state: 'paused', reason, cardId, failures }
    : { state: 'retrying', reason, cardId, failures, nextAttemptAtMs: nowMs + waitMs }
}

/** The change of the profile for a declined renewal, with its messages. */
export function declinedRenewal(
  deps: Deps,
  profile: Profile,
  purchase: Purchase,
  decline: Decline,
): RenewalChange {
  const { cardId, amountCents, currency } = purchase
  const renewal = afterDecline(profile.renewal, cardId, decline, deps.clock.nowMs())
  const isFirst = profile.renewal === undefined
  const lead = {
    messageType: 'renewal_declined',
    template: 'renewal-declined',
    amountCents,
    currency,
  } as const
  return changeRenewal(deps, profile, { renewal }, isFirst ? { lead } : {})
}

const REVERSED = 'payment_reversed'
const UNITS_OWED = 'units_owed'
/** The account's bundle has no stored terms, and the deployed file no longer has it. */
export const BUNDLE_REMOVED = 'bundle_removed'

/** How often a renewal is decided again whose bundle is not sold, in case the bundle returns. */
const REMOVED_POLL_MS = DAY_MS

/** Whether renewals would buy a bundle of which no terms are known any longer. Units of it stay spendable. */
export const renewsRemovedBundle = (account: Holding): boolean =>
  nameToRenew(account) !== undefined && bundleToRenew(account) === undefined

/**
 * How a refund or a dispute changes renewal. If the customer got money back and few units are left, renewal
 * pauses until the customer buys or sets another default card, so that the returned units are not charged
 * again. A failed refund or a won dispute ends the pause, unless a new refund or dispute has the same amount.
 * @param reversedCents how much more money went back than before; negative if some of it has returned.
 * @returns the fields for `changeRenewal`; none if renewal stays as it is.
 */
export function afterReversal(
  { renewal }: Profile,
  cardId: string | undefined,
  reversedCents: number,
  isLow: boolean,
): { renewal?: Renewal | undefined } {
  // If renewal with this card is already paused, the earlier reason stays.
  const isPaused = renewal?.state === 'paused' && renewal.cardId === cardId
  if (reversedCents > 0 && isLow && !isPaused)
    return { renewal: { state: 'paused', reason: REVERSED, cardId, failures: 0 } }
  return reversedCents < 0 && renewal?.reason === REVERSED ? { renewal: undefined } : {}
}

/** Writes for a renewal that waits for its customer, who gets a link to authenticate. */
export function renewalNeedsAuthentication(deps: Deps, profile: Profile, purchase: Purchase): Write[] {
  const { id: purchaseId, cardId, amountCents, currency } = purchase
  const renewal: Renewal = {
    state: 'action_required',
    reason: 'authentication_required',
    cardId,
    failures: profile.renewal?.failures ?? 0,
  }
  const lead = {
    messageType: 'renewal_action',
    template: 'renewal-action',
    amountCents,
    currency,
    purchaseId,
  } as const
  const change = changeRenewal(deps, profile, { renewal }, { lead })
  return [
    {
      update: keys.profile(profile.id),
      set: setRemove(change.set, change.remove),
      if: join([expr`#openPurchase = ${purchaseId}`, change.unchanged], ' AND '),
    },
    ...change.messages,
  ]
}

/**
 * Everything of the profile that `decideRenewal` reads. Its type lets the decision read nothing else, and
 * `renewalUnchanged` makes a condition of all of it, so what the decision did not see cannot be charged.
 */
const DECISION_FIELDS = [
  'status',
  'flags',
  'bundle',
  'plan',
  'renewalBundle',
  'renewalPlan',
  'openPurchase',
  'renewal',
  'owed',
  'renewed',
  'monthlyCapCents',
  'maxRenewalsPerHour',
  'maxRenewalsPerDay',
] as const satisfies (keyof Profile)[]

/** What a decision about a renewal is based on. */
export type RenewalBasis = Pick<Profile, (typeof DECISION_FIELDS)[number]> & {
  customer: Pick<StoredCustomer, 'id' | 'defaultCardId'> | undefined
}

/** The condition that the profile still is as the decision about a renewal read it. */
export const renewalUnchanged = (basis: RenewalBasis): Expression => unchangedSince(basis, DECISION_FIELDS)

/**
 * Why the bundle does not renew itself; undefined if it does, the default card has changed since, or the
 * bundle is sold again.
 */
export function renewalObstacle({
  renewal,
  customer,
  ...bundles
}: Pick<RenewalBasis, 'renewal' | 'customer'> & Holding): Renewal | undefined {
  if (renewal?.reason === BUNDLE_REMOVED && !renewsRemovedBundle(bundles)) return undefined
  return renewal?.cardId === customer?.defaultCardId ? renewal : undefined
}

/** What to do about a counter that may need a renewal. */
export type Decision =
  /** Do nothing: any change that matters wakes the check again. */
  | { act: 'rest' }
  | { act: 'wait'; untilMs: number }
  /** Check again later, because a purchase is open. */
  | { act: 'open' }
  /** The bundle cannot be renewed: store the reason for the customer, and check again at `untilMs`, if set. */
  | { act: 'note'; renewal: Renewal; untilMs?: number }
  | { act: 'renew'; bundle: Bundle }

export function decideRenewal(account: RenewalBasis, quota: Quota, nowMs: number): Decision {
  const bundle = bundleToRenew(account)
  if (quota.renewalCall === 0 || account.status !== 'active') return { act: 'rest' }
  if (nameToRenew(account) === undefined || !renewsItself(account)) return { act: 'rest' }
  if (!needsRenewal(quota)) return { act: 'rest' }
  if (account.openPurchase !== undefined) return { act: 'open' }
  const before = renewalObstacle(account)
  // A change of the catalogue ends this pause, and wakes no check.
  const returnMs = nowMs + REMOVED_POLL_MS
  if (before?.reason === BUNDLE_REMOVED) return { act: 'wait', untilMs: returnMs }
  const isDebtPaid = before?.reason === UNITS_OWED && account.owed === undefined
  if (before?.state === 'paused' && !isDebtPaid) return { act: 'rest' }
  // The limits may have changed, so they are compared again below.
  const untilMs = before === undefined || isByLimit(before) ? 0 : (before.nextAttemptAtMs ?? 0)
  if (untilMs > nowMs) return { act: 'wait', untilMs }
  const cardId = account.customer?.defaultCardId
  const failures = before?.failures ?? 0
  if (!bundle) {
    const renewal: Renewal = { state: 'paused', reason: BUNDLE_REMOVED, cardId, failures }
    return { act: 'note', renewal, untilMs: returnMs }
  }
  if (cardId === undefined) return { act: 'note', renewal: { state: 'paused', reason: 'no_card', failures } }
  // Each renewal would pay for units that are already spent.
  if (account.owed !== undefined)
    return { act: 'note', renewal: { state: 'paused', reason: UNITS_OWED, cardId, failures } }
  const limit = limitReached(account, bundle.priceCents, nowMs)
  if (!limit) return { act: 'renew', bundle }
  if (before && isSameLimit(before, limit)) return { act: 'wait', untilMs: limit.nextAttemptAtMs }
  return { act: 'note', renewal: limitedRenewal(limit, { ...before, cardId, failures }, nowMs) }
}

/** Whether the owner's limits are what keeps the bundle from renewing. */
export const isByLimit = ({ state }: Renewal): boolean => state === 'capped' || state === 'held_back'

export const isSameLimit = (before: Renewal, limit: LimitReached): boolean =>
  before.reason === limit.reason && before.nextAttemptAtMs === limit.nextAttemptAtMs

/** The state of renewal that a limit has stopped. A hold that was there before goes on, with its link. */
export const limitedRenewal = (
  limit: LimitReached,
  { cardId, failures, heldAtMs }: Pick<Renewal, 'cardId' | 'failures' | 'heldAtMs'>,
  nowMs: number,
): Renewal => ({
  ...limit,
  cardId,
  failures,
  ...(limit.state === 'held_back' && { heldAtMs: heldAtMs ?? nowMs }),
})

/** Auto-renewal as the customer sees it. */
export interface RenewalStatus {
  /** `on`, `off`, or what keeps the bundle from renewing itself at the moment. */
  state: 'on' | 'off' | Renewal['state']
  /** Why the bundle does not renew itself at the moment; undefined when it is `off`, or `on` and ready. */
  reason: string | undefined
  /** When the renewal is tried again, epoch ms; undefined if no time is set. */
  nextAttemptAtMs: number | undefined
  /** What renewals may cost in a calendar month (UTC), in the currency's minor unit; undefined means no limit. */
  monthlyCapCents: number | undefined
  /** A renewal is due below this: below 1 a share of the bundle held, from 1 on units. */
  below: number
  /** Name of the bundle that a renewal buys; undefined before the first bundle, unless its owner chose one. */
  bundle: string | undefined
  /** How many renewals an hour and a day may have before the next one is held back. */
  maxPerHour: number
  maxPerDay: number
}

/** A bundle that is not sold will not be renewed, so its owner sees that before the units run low. */
const removedObstacle = (
  account: Account,
): Pick<Renewal, 'state' | 'reason' | 'nextAttemptAtMs'> | undefined =>
  renewsRemovedBundle(account) ? { state: 'paused', reason: BUNDLE_REMOVED } : undefined

export function renewalStatus(account: Account): RenewalStatus {
  const { monthlyCapCents, quota } = account
  const isOn = renewsItself(account)
  const obstacle = isOn ? (renewalObstacle(account) ?? removedObstacle(account)) : undefined
  return {
    state: obstacle?.state ?? (isOn ? 'on' : 'off'),
    reason: obstacle?.reason ?? (isOn ? idleReason(account) : undefined),
    nextAttemptAtMs: obstacle?.nextAttemptAtMs,
    monthlyCapCents,
    below: effectiveBelow(quota ?? { size: 0 }),
    bundle: nameToRenew(account),
    maxPerHour: maxPerHour(account),
    maxPerDay: maxPerDay(account),
  }
}

/** Why requests may be refused although auto-renewal is on and nothing keeps it from renewing. */
function idleReason({ quota, openPurchase }: Account): string | undefined {
  if (!quota) return undefined
  if (openPurchase !== undefined && needsRenewal(quota)) return 'purchase_open'
  return quota.oversizeSeq === quota.seq ? 'request_larger_than_bundle' : undefined
}
