import type { Profile } from '../account/account.ts'
import { AUTHENTICATION_POLL_MS } from '../cards/authentication.ts'
import { withCardOf } from '../cards/confirmation-token.ts'
import { declineWrites, markDeclined } from '../cards/declined.ts'
import { reachedBank } from '../cards/number.ts'
import { withTry } from '../cards/velocity.ts'
import { giveBackWrites } from '../coupons/redeem.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Decline, MoneyDeps, Payment } from '../ports.ts'
import { type Expression, expr, join, setRemove } from '../table/expression.ts'
import { keys, ttlAt, UNCHARGED_PURCHASE_KEPT_MS } from '../table/keys.ts'
import { isLeased } from '../table/lease.ts'
import type { Write } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { creditPurchase, soldOf } from './credit.ts'
import { decideStep } from './decide.ts'
import { isOpen, isPaymentOfPurchase, type Purchase, stillOpen } from './purchase.ts'
import { declinedRenewal, renewalNeedsAuthentication } from './renewal.ts'
import type { RenewalChange } from './renewal-state.ts'
import { slotToFree, transactPurchase } from './transaction.ts'

/** The outcome of a purchase so far. */
export type PurchaseOutcome =
  /** Charged and in the ledger; `finishPurchase` still has to finish the purchase. */
  | { status: 'credited'; purchase: Purchase }
  /** `clientSecret` is undefined for a renewal until its customer comes to authenticate. */
  | { status: 'action required'; clientSecret: string | undefined }
  | { status: 'pending' | 'declined' }
  /**
   * Ended before any money moved, unless that is unclear. `isCardGone`: the card on file no longer exists, and
   * another one has taken its place, if there is one.
   */
  | { status: 'abandoned'; isUnclear?: true; isCardGone?: true }

/**
 * Brings a purchase to the state that its payment's status calls for. The request, the webhook and the job
 * all decide here and nowhere else. Safe to repeat.
 * @param eventDone writes that mark the webhook event as done; they go into the last write. They are left out
 *   if the purchase is credited: then the caller passes them to `finishPurchase`.
 * @param hasLapsed whether to stop waiting for the customer to authenticate.
 */
export async function settlePurchase(
  deps: MoneyDeps,
  stored: Purchase,
  payment: Payment,
  eventDone: readonly Write[] = [],
  hasLapsed = false,
): Promise<PurchaseOutcome> {
  const purchase = withCardOf(stored, payment)
  if (!isOpen(purchase)) return endedOutcome(deps, purchase, eventDone)
  const step = decideStep('purchase', {
    payment,
    matches: isPaymentOfPurchase(payment, purchase, deps.paymentScope),
    isLeased: isLeased(deps, purchase),
    hasLapsed,
    canAuthenticate: needsCustomer(purchase, payment),
    wasHeld: false,
  })
  switch (step) {
    case 'take':
      return endedOutcome(deps, await creditPurchase(deps, purchase, payment), eventDone)
    case 'ask':
      return askForAuthentication(deps, purchase, payment, eventDone)
    case 'cancel':
      return cancelPurchase(deps, purchase, payment, eventDone)
    case 'reject': {
      const { status } =
        payment.status === 'succeeded' ? payment : await deps.payments.cancelPayment(payment.id)
      if (status === 'canceled') return endPurchase(deps, purchase, undefined, eventDone)
      // The payment took money or still may: the reconciliation raises an alarm.
      const ended = await endPurchase(deps, purchase, undefined, eventDone, 'unmatched')
      return ended.status === 'abandoned' ? { status: 'abandoned', isUnclear: true } : ended
    }
    case 'end':
      return endPurchase(deps, purchase, declineBefore(payment), eventDone)
    case 'wait':
      await writeUnlessDone(deps, eventDone)
      return { status: 'pending' }
  }
}

const declineBefore = (payment: Payment): Decline | undefined =>
  payment.status === 'canceled' ? payment.decline : undefined

/** Whether the bank wants 3-D Secure for a renewal, so the customer has to authenticate. */
export const needsCustomer = ({ kind }: Purchase, payment: Payment): boolean =>
  kind === 'renewal' && payment.status === 'declined' && payment.decline.reason === 'authentication_required'

/**
 * Cancels the payment first, so that no purchase ends before the provider confirms that no money can move.
 * @throws DomainError `temporarily_unavailable` if the payment can still be confirmed
 */
export async function cancelPurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  { id }: Pick<Payment, 'id'>,
  eventDone: readonly Write[] = [],
): Promise<PurchaseOutcome> {
  const fenced = await deps.payments.cancelPayment(id)
  const open = fenced.status === 'declined' || fenced.status === 'unconfirmed' || fenced.status === 'held'
  if (open) throw new DomainError('temporarily_unavailable')
  return settlePurchase(deps, purchase, fenced, eventDone)
}

/** The outcome according to the stored state. Writes `eventDone`, unless `finishPurchase` will write it. */
async function endedOutcome(
  deps: MoneyDeps,
  purchase: Purchase,
  eventDone: readonly Write[],
): Promise<PurchaseOutcome> {
  if (purchase.state === 'credited') return { status: 'credited', purchase }
  await writeUnlessDone(deps, eventDone)
  if (isOpen(purchase)) return { status: 'pending' }
  return { status: purchase.state === 'declined' ? 'declined' : 'abandoned' }
}

const AUTHENTICATION_REQUIRED: Decline = { reason: 'authentication_required', retry: 'never' }

/** When settle-payments looks at a payment that waits: at once if the account was deactivated meanwhile. */
const nextLookMs = (deps: MoneyDeps, { status }: Profile): number =>
  deps.clock.nowMs() + (status === 'active' ? AUTHENTICATION_POLL_MS : 0)

/** Stores that the customer has to authenticate. For a renewal the customer gets a notice and a mail. */
async function askForAuthentication(
  deps: MoneyDeps,
  purchase: Purchase,
  payment: Payment,
  eventDone: readonly Write[],
): Promise<PurchaseOutcome> {
  const clientSecret = payment.status === 'action_required' ? payment.clientSecret : undefined
  const outcome: PurchaseOutcome = { status: 'action required', clientSecret }
  if (purchase.state === 'action_required') {
    await writeUnlessDone(deps, eventDone)
    return outcome
  }
  const { accountId, id, kind, cardId } = purchase
  const other = await transactPurchase(deps, purchase, (profile, card) => [
    {
      update: keys.purchase(accountId, id),
      set: expr`SET #state = ${'action_required'}, #paymentId = ${payment.id}, #cardId = ${cardId}, #dueAtMs = ${nextLookMs(deps, profile)}`,
      if: expr`#state IN (${'created'}, ${'saved'})`,
    },
    ...(kind === 'renewal' ? renewalNeedsAuthentication(deps, profile, purchase) : []),
    // The card is shown as declined, because the customer may prefer to change it.
    ...(kind === 'renewal' ? markDeclined(accountId, card, AUTHENTICATION_REQUIRED) : []),
    ...eventDone,
  ])
  if (!other || other.state === 'action_required') return outcome
  return endedOutcome(deps, other, eventDone)
}

/** Why a purchase ends, if neither the bank declined it nor the provider confirmed that it is canceled. */
export type UnclearEnd =
  /** Its payment was altered outside Bursar and may have taken money. */
  | 'unmatched'
  /** The provider has deleted its payment. */
  | 'deleted'

/**
 * Ends a purchase whose payment can move no more money, and frees the account's slot for another purchase.
 * @param decline why the card was declined; undefined for an abandoned purchase.
 * @param unclear why the end is no confirmed one. Only a purchase that charged nothing expires.
 */
export async function endPurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  decline: Decline | undefined,
  eventDone: readonly Write[] = [],
  unclear?: UnclearEnd,
): Promise<PurchaseOutcome> {
  const { accountId, id } = purchase
  const { ttl } = ttlAt(deps.clock.nowMs() + UNCHARGED_PURCHASE_KEPT_MS)
  const state = decline ? 'declined' : 'abandoned'
  const other = await transactPurchase(deps, purchase, async (profile) => {
    const renewal =
      purchase.kind === 'renewal' && decline ? declinedRenewal(deps, profile, purchase, decline) : undefined
    return [
      {
        update: keys.purchase(accountId, id),
        set: setRemove(
          [expr`#state = ${state}`, ...(unclear === 'unmatched' ? [] : [expr`#ttl = ${ttl}`])],
          [expr`#due, #dueAtMs`],
        ),
        // Without a payment id, the condition fails if a concurrent request has saved one meanwhile.
        if: purchase.paymentId === undefined ? expr`#state = ${'created'}` : stillOpen,
      },
      ...endOnProfile(
        deps,
        profile,
        purchase,
        decline ? lastDeclined(deps, profile, purchase, decline) : [],
        renewal,
      ),
      ...(decline
        ? await declineWrites(deps, accountId, { ...purchase, isProof: purchase.kind === 'signup' }, decline)
        : []),
      // A payment that was altered may have taken money, so its coupon counts as used.
      ...(unclear === 'unmatched' ? [] : giveBackWrites(accountId, purchase.coupon)),
      ...(unclear
        ? unclearNotice(deps, purchase, unclear)
        : lateNotice(deps, purchase, decline !== undefined)),
      announce(deps, accountId, 'purchase.failed', {
        ...soldOf(purchase),
        outcome: state,
        ...(decline ? { reason: decline.reason } : unclear && { reason: unclear }),
      }),
      ...eventDone,
    ]
  })
  return other ? endedOutcome(deps, other, eventDone) : { status: state }
}

/** A notice for a customer whose request was answered as pending. A renewal has its own messages. */
function lateNotice(deps: MoneyDeps, purchase: Purchase, declined: boolean): Write[] {
  const { accountId, bundle, kind } = purchase
  if (kind === 'renewal' || (isLeased(deps, purchase) && !purchase.promised)) return []
  const text = declined
    ? `Your payment for the ${bundle} bundle was declined. Nothing was charged.`
    : `We cancelled your payment for the ${bundle} bundle. Nothing was charged.`
  return [{ put: newNotice(deps, accountId, 'purchase_failed', text) }]
}

/** Claims nothing that was not checked at the provider. A renewal whose payment was deleted starts over. */
function unclearNotice(deps: MoneyDeps, { accountId, bundle, kind }: Purchase, unclear: UnclearEnd): Write[] {
  if (kind === 'renewal' && unclear === 'deleted') return []
  const text =
    unclear === 'unmatched'
      ? `We could not match your payment for the ${bundle} bundle, so we added no units. We are checking the payment, and refund it if it took money.`
      : `Our payment provider no longer has your payment for the ${bundle} bundle, so it has ended without units. Please buy the bundle again if you need it.`
  return [{ put: newNotice(deps, accountId, 'purchase_failed', text) }]
}

/** The decline as the profile keeps it. The try of a sign-up was counted when it began. */
function lastDeclined(
  deps: MoneyDeps,
  { chargeDeclinesMs = [] }: Profile,
  { id, fingerprint, kind }: Purchase,
  decline: Decline,
): Expression[] {
  const nowMs = deps.clock.nowMs()
  // A card that we block has reached no bank, but every try of it costs calls to the provider.
  const counts = kind !== 'signup' && (reachedBank(decline) || decline.reason === 'card_blocked')
  return [
    expr`#lastPurchase = ${{ id, fingerprint, outcome: 'declined', atMs: nowMs }}`,
    ...(counts ? [expr`#chargeDeclinesMs = ${withTry(chargeDeclinesMs, nowMs)}`] : []),
  ]
}

function endOnProfile(
  deps: MoneyDeps,
  profile: Profile,
  { id }: Purchase,
  set: Expression[],
  renewal: RenewalChange | undefined,
): Write[] {
  const remove = slotToFree(profile, id)
  const changes = [...set, ...(renewal?.set ?? [])]
  if (changes.length + remove.length === 0) return []
  const updatedAt = expr`#updatedAtMs = ${deps.clock.nowMs()}`
  // The slot must be unchanged, because `set` was derived from this profile.
  const held = profile.openPurchase
  const sameSlot =
    held === undefined ? expr`attribute_not_exists(#openPurchase)` : expr`#openPurchase = ${held}`
  return [
    {
      update: keys.profile(profile.id),
      set: setRemove([updatedAt, ...changes], remove),
      if: join([sameSlot, ...(renewal ? [renewal.unchanged] : [])], ' AND '),
    },
    ...(renewal?.messages ?? []),
  ]
}
