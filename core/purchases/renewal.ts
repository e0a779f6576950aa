import { type Account, type Profile, renewsItself } from '../account/account.ts'
import { changeProfile } from '../account/profile.ts'
import type { MailTemplate } from '../notifications/mails.ts'
import { newNotice } from '../notifications/notices.ts'
import { queueMail } from '../notifications/outbox.ts'
import type { Decline, Deps } from '../ports.ts'
import type { Quota } from '../quota/quota.ts'
import { needsRenewal } from '../quota/thresholds.ts'
import { wakeRenewal } from '../quota/wake-renewal.ts'
import { type Expression, expr, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'
import { bundleOf, isSold } from './catalogue.ts'
import type { Purchase } from './purchase.ts'

type Renewal = NonNullable<Profile['renewal']>

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

/** Profile changes and messages for a declined renewal: a notice and a mail, for the first decline only. */
export function declinedRenewal(
  deps: Deps,
  profile: Profile,
  purchase: Purchase,
  decline: Decline,
): { set: Expression[]; writes: Write[] } {
  const { cardId } = purchase
  const renewal = afterDecline(profile.renewal, cardId, decline, deps.clock.nowMs())
  const set = [expr`#renewal = ${renewal}`]
  // A customer who was asked to authenticate has already had a mail.
  const wasNotified =
    purchase.state === 'action_required' ||
    (profile.renewal?.cardId === cardId && profile.renewal.failures > 0)
  if (wasNotified) return { set, writes: [] }
  const text = `Your card was declined when we tried to renew your ${purchase.bundle} bundle. Nothing was charged.`
  return {
    set,
    writes: renewalMessages(deps, profile, purchase, 'renewal_declined', text, 'renewal-declined'),
  }
}

const REVERSED = 'payment_reversed'
const UNITS_OWED = 'units_owed'
/** The catalogue no longer has the account's bundle. */
export const BUNDLE_REMOVED = 'bundle_removed'

/** How often a renewal is decided again whose bundle is not sold, in case the bundle returns. */
const REMOVED_POLL_MS = DAY_MS

/** Whether an account holds a bundle that the catalogue has no longer. Its units stay spendable. */
export const holdsRemovedBundle = ({ bundle }: Pick<Profile, 'bundle'>): boolean =>
  bundle !== undefined && !isSold(bundle)

/**
 * How a refund or a dispute changes renewal. If the customer got money back and few units are left, renewal
 * pauses until the customer buys or sets another default card, so that the returned units are not charged
 * again. A failed refund or a won dispute ends the pause, unless a new refund or dispute has the same amount.
 * @param reversedCents how much more money went back than before; negative if some of it has returned.
 */
export function afterReversal(
  { renewal }: Profile,
  cardId: string | undefined,
  reversedCents: number,
  isLow: boolean,
): { set: Expression[]; remove: Expression[] } {
  const paused: Renewal = { state: 'paused', reason: REVERSED, cardId, failures: 0 }
  const isPaused = renewal?.state === 'paused' && renewal.cardId === cardId
  return {
    // If renewal with this card is already paused, the earlier reason stays.
    set: reversedCents > 0 && isLow && !isPaused ? [expr`#renewal = ${paused}`] : [],
    remove: reversedCents < 0 && renewal?.reason === REVERSED ? [expr`#renewal`] : [],
  }
}

/** Writes for a renewal that waits for its customer, who gets a link to authenticate. */
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
  { bundle, amountCents, currency, id }: Purchase,
  messageType: string,
  text: string,
  template: 'renewal-declined' | 'renewal-action',
): Write[] {
  const { id: accountId, email: to, username } = profile
  const values = { username, bundle, amountCents, currency, purchaseId: id }
  return [
    { put: newNotice(deps, accountId, messageType, text) },
    queueMail(deps, { accountId, to, template, values }, 0).write,
  ]
}

/** What an account is told when its renewal pauses, by reason: the notice's text, and the mail's template. */
const PAUSE_MESSAGES: Readonly<Record<string, { text(bundle: string): string; template: MailTemplate }>> = {
  [BUNDLE_REMOVED]: {
    text: (bundle) =>
      `We no longer sell the ${bundle} bundle, so we did not renew it and charged nothing. Your units stay yours. Please choose another bundle to get more.`,
    template: 'renewal-bundle-removed',
  },
}

/** A notice and a mail about a pause of renewal; none for a reason that has no text. */
export function pauseMessages(deps: Deps, account: Account, { reason }: Renewal): Write[] {
  const { id: accountId, email: to, username, bundle = '' } = account
  const messages = PAUSE_MESSAGES[reason]
  if (!messages) return []
  return [
    { put: newNotice(deps, accountId, 'renewal_paused', messages.text(bundle)) },
    queueMail(deps, { accountId, to, template: messages.template, values: { username, bundle } }, 0).write,
  ]
}

/** The cost of renewals in the month of `atMs`, in the currency's minor unit, including a new renewal of `cents`. */
export function renewedThisMonth(
  profile: Profile,
  atMs: number,
  cents: number,
): NonNullable<Profile['renewed']> {
  const month = monthOf(atMs)
  return { month, cents: (profile.renewed?.month === month ? profile.renewed.cents : 0) + cents }
}

/** The calendar month of a time in UTC, such as 2026-11. */
const monthOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 7)

/** Start of the calendar month (UTC) after the month of `atMs`, epoch ms. */
export function nextMonthMs(atMs: number): number {
  const at = new Date(atMs)
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1)
}

/**
 * Why the bundle does not renew itself; undefined if it does, the default card has changed since, or the
 * bundle is sold again.
 */
export function renewalObstacle(account: Account): Renewal | undefined {
  const { renewal, customer } = account
  if (renewal?.reason === BUNDLE_REMOVED && !holdsRemovedBundle(account)) return undefined
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
  | { act: 'renew'; bundle: string }

export function decideRenewal(account: Account, quota: Quota, nowMs: number): Decision {
  const { bundle } = account
  if (quota.renewalCall === 0 || account.status !== 'active') return { act: 'rest' }
  if (bundle === undefined || !renewsItself(account)) return { act: 'rest' }
  if (!needsRenewal(quota.left, quota.size)) return { act: 'rest' }
  if (account.openPurchase !== undefined) return { act: 'open' }
  const before = renewalObstacle(account)
  // A change of the catalogue ends this pause, and wakes no check.
  const returnMs = nowMs + REMOVED_POLL_MS
  if (before?.reason === BUNDLE_REMOVED) return { act: 'wait', untilMs: returnMs }
  const isDebtPaid = before?.reason === UNITS_OWED && account.owed === undefined
  if (before?.state === 'paused' && !isDebtPaid) return { act: 'rest' }
  // The cap may have changed, so it is compared again below.
  const untilMs = before?.state === 'capped' ? 0 : (before?.nextAttemptAtMs ?? 0)
  if (untilMs > nowMs) return { act: 'wait', untilMs }
  const cardId = account.customer?.defaultCardId
  const failures = before?.failures ?? 0
  if (!isSold(bundle)) {
    const renewal: Renewal = { state: 'paused', reason: BUNDLE_REMOVED, cardId, failures }
    return { act: 'note', renewal, untilMs: returnMs }
  }
  if (cardId === undefined) return { act: 'note', renewal: { state: 'paused', reason: 'no_card', failures } }
  // Each renewal would pay for units that are already spent.
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

/** Sets what renewals may cost in a calendar month (UTC), in the currency's minor unit; undefined removes the limit. */
export async function setMonthlyCap(
  deps: Deps<'table'>,
  account: Account,
  cents: number | undefined,
): Promise<void> {
  const remove = [
    ...(cents === undefined ? [expr`#monthlyCapCents`] : []),
    // The new cap may allow the next renewal.
    ...(account.renewal?.state === 'capped' ? [expr`#renewal`] : []),
  ]
  const set = [
    expr`#updatedAtMs = ${deps.clock.nowMs()}`,
    ...(cents === undefined ? [] : [expr`#monthlyCapCents = ${cents}`]),
  ]
  await changeProfile(deps, account, setRemove(set, remove), [wakeRenewal(deps, account.id)])
}

/** Auto-renewal as the customer sees it. */
export interface RenewalStatus {
  /** `on`, `off`, or what keeps the bundle from renewing itself at the moment. */
  state: 'on' | 'off' | Renewal['state']
  /** Why the bundle does not renew itself at the moment; undefined when it is `on` or `off`. */
  reason: string | undefined
  /** When the renewal is tried again, epoch ms; undefined if no time is set. */
  nextAttemptAtMs: number | undefined
  /** What renewals may cost in a calendar month (UTC), in the currency's minor unit; undefined means no limit. */
  monthlyCapCents: number | undefined
}

/** A bundle that is not sold will not be renewed, so its owner sees that before the units run low. */
const removedObstacle = (
  account: Account,
): Pick<Renewal, 'state' | 'reason' | 'nextAttemptAtMs'> | undefined =>
  holdsRemovedBundle(account) ? { state: 'paused', reason: BUNDLE_REMOVED } : undefined

export function renewalStatus(account: Account): RenewalStatus {
  const { monthlyCapCents } = account
  const isOn = renewsItself(account)
  const obstacle = isOn ? (renewalObstacle(account) ?? removedObstacle(account)) : undefined
  return {
    state: obstacle?.state ?? (isOn ? 'on' : 'off'),
    reason: obstacle?.reason,
    nextAttemptAtMs: obstacle?.nextAttemptAtMs,
    monthlyCapCents,
  }
}
