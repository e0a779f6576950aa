import { type Account, type Profile, renewsItself } from '../account/account.ts'
import { changeProfile } from '../account/profile.ts'
import { newNotice } from '../notifications/notices.ts'
import { queueMail } from '../notifications/outbox.ts'
import type { Decline, Deps } from '../ports.ts'
import type { Quota } from '../quota/quota.ts'
import { needsRenewal } from '../quota/thresholds.ts'
import { wakeRenewal } from '../quota/wake-renewal.ts'
import { type Expression, expr, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { HOUR_MS } from '../time.ts'
import { bundleOf } from './catalogue.ts'
import type { Purchase } from './purchase.ts'

type Renewal = NonNullable<Profile['renewal']>

/** How long a declined renewal waits for its next try, counted from the try before; then it pauses. */
const RENEWAL_BACKOFF_MS = [HOUR_MS, 3 * HOUR_MS, 7 * HOUR_MS]

/** Where a declined renewal goes on from. A card that cannot succeed as it is pauses it at once. */
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

/** What a declined renewal leaves in the profile, and what its owner is told: by notice and mail, the first time. */
export function declinedRenewal(
  deps: Deps,
  profile: Profile,
  purchase: Purchase,
  decline: Decline,
): { set: Expression[]; writes: Write[] } {
  const { cardId } = purchase
  const renewal = afterDecline(profile.renewal, cardId, decline, deps.clock.nowMs())
  const set = [expr`#renewal = ${renewal}`]
  // Who was asked to authenticate has had a mail already.
  const wasTold =
    purchase.state === 'action_required' ||
    (profile.renewal?.cardId === cardId && profile.renewal.failures > 0)
  if (wasTold) return { set, writes: [] }
  const text = `Your card was declined when we tried to renew your ${purchase.bundle} bundle. Nothing was charged.`
  return {
    set,
    writes: renewalMessages(deps, profile, purchase, 'renewal_declined', text, 'renewal-declined'),
  }
}

const REVERSED = 'payment_reversed'
const UNITS_OWED = 'units_owed'

/**
 * What a refund or a dispute does to renewals: whoever gets money back is not charged again for the units that went
 * with it, until they buy or another card is the default one. Money that comes back undoes that.
 */
export function afterReversal(
  { renewal }: Profile,
  cardId: string | undefined,
  reversedMore: boolean,
  isLow: boolean,
): { set: Expression[]; remove: Expression[] } {
  const paused: Renewal = { state: 'paused', reason: REVERSED, cardId, failures: 0 }
  const isPaused = renewal?.state === 'paused' && renewal.cardId === cardId
  return {
    // A pause of this card has its own reason.
    set: reversedMore && isLow && !isPaused ? [expr`#renewal = ${paused}`] : [],
    remove: !reversedMore && renewal?.reason === REVERSED ? [expr`#renewal`] : [],
  }
}

/** A renewal waits for its customer, who gets a link to finish it. */
export function renewalNeedsAuthentication(deps: Deps, profile: Profile, purchase: Purchase): Write[] {
  const renewal: Renewal = {
    state: 'action_required',
    reason: 'authentication_required',
    cardId: purchase.cardId,
    failures: profile.renewal?.failures ?? 0,
  }
  const text = `Your bank asks you to confirm the renewal of your ${purchase.bundle} bundle. Please use the link that we mailed you.`
  return [
    {
      update: keys.profile(profile.id),
      set: expr`SET #renewal = ${renewal}`,
      if: expr`#openPurchase = ${purchase.id}`,
    },
    ...renewalMessages(deps, profile, purchase, 'renewal_action', text, 'renewal-action'),
  ]
}

function renewalMessages(
  deps: Deps,
  profile: Profile,
  { bundle, amountCents, id }: Purchase,
  messageType: string,
  text: string,
  template: 'renewal-declined' | 'renewal-action',
): Write[] {
  const { id: accountId, email: to, username } = profile
  const values = { username, bundle, amountCents, purchaseId: id }
  return [
    { put: newNotice(deps, accountId, messageType, text) },
    queueMail(deps, { accountId, to, template, values }, 0).write,
  ]
}

/** What renewals cost in the month of a moment, with one more. */
export function renewedThisMonth(
  profile: Profile,
  atMs: number,
  cents: number,
): NonNullable<Profile['renewed']> {
  const month = monthOf(atMs)
  return { month, cents: (profile.renewed?.month === month ? profile.renewed.cents : 0) + cents }
}

/** The calendar month of a moment in UTC, as 2026-11. */
const monthOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 7)

/** When the month after that of a moment begins, epoch ms. */
export function nextMonthMs(atMs: number): number {
  const at = new Date(atMs)
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1)
}

/** What keeps the bundle from renewing itself, unless the card has changed since. */
export const renewalObstacle = ({ renewal, customer }: Account): Renewal | undefined =>
  renewal?.cardId === customer?.defaultCardId ? renewal : undefined

/** What to do about a counter that calls for a renewal. */
export type Decision =
  /** Nothing: whatever may change that calls again. */
  | { act: 'rest' }
  | { act: 'wait'; untilMs: number }
  /** A purchase is open. */
  | { act: 'open' }
  /** It cannot be renewed, and its owner shall see why. */
  | { act: 'note'; renewal: Renewal }
  | { act: 'renew'; bundle: string }

export function decideRenewal(account: Account, quota: Quota, nowMs: number): Decision {
  const { bundle } = account
  if (quota.renewalCall === 0 || account.status !== 'active') return { act: 'rest' }
  if (bundle === undefined || !renewsItself(account)) return { act: 'rest' }
  if (!needsRenewal(quota.left, quota.size)) return { act: 'rest' }
  if (account.openPurchase !== undefined) return { act: 'open' }
  const before = renewalObstacle(account)
  const debtIsGone = before?.reason === UNITS_OWED && account.owed === undefined
  if (before?.state === 'paused' && !debtIsGone) return { act: 'rest' }
  // The cap may be another one by now: it is asked anew.
  const untilMs = before?.state === 'capped' ? 0 : (before?.nextAttemptAtMs ?? 0)
  if (untilMs > nowMs) return { act: 'wait', untilMs }
  const cardId = account.customer?.defaultCardId
  const failures = before?.failures ?? 0
  if (cardId === undefined) return { act: 'note', renewal: { state: 'paused', reason: 'no_card', failures } }
  // It would pay for units that are spent, again and again.
  if (account.owed !== undefined)
    return { act: 'note', renewal: { state: 'paused', reason: UNITS_OWED, cardId, failures } }
  const { cents } = renewedThisMonth(account, nowMs, bundleOf(bundle).priceCents)
  if (cents > (account.monthlyCapCents ?? Number.POSITIVE_INFINITY)) {
    const nextAttemptAtMs = nextMonthMs(nowMs)
    return {
      act: 'note',
      renewal: { state: 'capped', reason: 'monthly_cap', cardId, failures, nextAttemptAtMs },
    }
  }
  return { act: 'renew', bundle }
}

/** Sets what renewals may cost in a calendar month (UTC), in cents; undefined sets no limit. */
export async function setMonthlyCap(
  deps: Deps<'table'>,
  account: Account,
  cents: number | undefined,
): Promise<void> {
  const remove = [
    ...(cents === undefined ? [expr`#monthlyCapCents`] : []),
    // It may go on with the new one.
    ...(account.renewal?.state === 'capped' ? [expr`#renewal`] : []),
  ]
  const set = [
    expr`#updatedAtMs = ${deps.clock.nowMs()}`,
    ...(cents === undefined ? [] : [expr`#monthlyCapCents = ${cents}`]),
  ]
  await changeProfile(deps, account, setRemove(set, remove), [wakeRenewal(deps, account.id)])
}

/** Auto-renewal as its owner sees it. */
export interface RenewalStatus {
  /** `on`, `off`, or what keeps the bundle from renewing itself at the moment. */
  state: 'on' | 'off' | Renewal['state']
  /** Why the bundle does not renew itself at the moment; undefined when it is `on` or `off`. */
  reason: string | undefined
  /** When the renewal is tried again, if a time is set. */
  nextAttemptAtMs: number | undefined
  /** What renewals may cost in a calendar month (UTC); undefined is no limit. */
  monthlyCapCents: number | undefined
}

export function renewalStatus(account: Account): RenewalStatus {
  const { monthlyCapCents } = account
  const isOn = renewsItself(account)
  const obstacle = isOn ? renewalObstacle(account) : undefined
  return {
    state: obstacle?.state ?? (isOn ? 'on' : 'off'),
    reason: obstacle?.reason,
    nextAttemptAtMs: obstacle?.nextAttemptAtMs,
    monthlyCapCents,
  }
}
