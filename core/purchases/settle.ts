import type { Profile } from '../account/account.ts'
import { AUTHENTICATION_POLL_MS } from '../cards/authentication.ts'
import { markDeclined } from '../cards/declined.ts'
import { DomainError } from '../errors.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Decline, Payment } from '../ports.ts'
import { type Expression, expr, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { isLeased } from '../table/lease.ts'
import type { Write } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { creditPurchase } from './credit.ts'
import { isOpen, isPaymentOfPurchase, type Purchase, stillOpen } from './purchase.ts'
import { declinedRenewal, renewalNeedsAuthentication } from './renewal.ts'
import { type PurchaseDeps, slotToFree, transactPurchase } from './transaction.ts'

/** What became of a purchase. */
export type PurchaseOutcome =
  /** Charged and in the ledger for good; what is left to do is `finish(purchase)`. */
  | { status: 'credited'; purchase: Purchase }
  /** `clientSecret` is undefined for a renewal whose customer has to come first. */
  | { status: 'action required'; clientSecret: string | undefined }
  /** `abandoned`: given up before any money moved. */
  | { status: 'pending' | 'declined' | 'abandoned' }

/**
 * Makes of a purchase what its payment says: the one place where that is decided, for the request, the webhook and
 * the job alike. Repeating it changes nothing. `marks` are written with the work, but for one that is credited: then
 * they belong to `finish`, which is still to be done.
 */
export async function settlePurchase(
  deps: PurchaseDeps,
  purchase: Purchase,
  payment: Payment,
  eventDone: readonly Write[] = [],
): Promise<PurchaseOutcome> {
  if (!isOpen(purchase)) return endedOutcome(deps, purchase, eventDone)
  // Somebody has changed it: it pays for nothing of ours. What it took, if anything, is the sweep's alarm.
  if (!isPaymentOfPurchase(payment, purchase, deps.webhooks.livemode)) {
    if (payment.status !== 'succeeded') await deps.payments.cancelPayment(payment.id)
    return endPurchase(deps, purchase, undefined, eventDone)
  }
  switch (payment.status) {
    case 'succeeded':
      return endedOutcome(deps, await creditPurchase(deps, purchase, payment), eventDone)
    case 'action_required':
      return askForAuthentication(deps, purchase, payment, payment.clientSecret, eventDone)
    case 'processing':
      await writeUnlessDone(deps, eventDone)
      return { status: 'pending' }
    case 'unconfirmed':
      if (!isLeased(deps, purchase)) return cancelPurchase(deps, purchase, payment, eventDone)
      // Its request is just about to confirm it.
      await writeUnlessDone(deps, eventDone)
      return { status: 'pending' }
    case 'declined':
      return needsCustomer(purchase, payment)
        ? askForAuthentication(deps, purchase, payment, undefined, eventDone)
        : cancelPurchase(deps, purchase, payment, eventDone)
    case 'held':
      return cancelPurchase(deps, purchase, payment, eventDone)
    case 'canceled':
      return endPurchase(deps, purchase, payment.decline, eventDone)
  }
}

/** The bank asks for 3-D Secure and nobody is there: the customer may come and finish it. */
export const needsCustomer = ({ kind }: Purchase, payment: Payment): boolean =>
  kind === 'renewal' && payment.status === 'declined' && payment.decline.reason === 'authentication_required'

/** Nothing is given up before no money can move by it: the cancellation says so. */
export async function cancelPurchase(
  deps: PurchaseDeps,
  purchase: Purchase,
  { id }: Pick<Payment, 'id'>,
  eventDone: readonly Write[] = [],
): Promise<PurchaseOutcome> {
  const fenced = await deps.payments.cancelPayment(id)
  const open = fenced.status === 'declined' || fenced.status === 'unconfirmed' || fenced.status === 'held'
  if (open) throw new DomainError('temporarily_unavailable')
  return settlePurchase(deps, purchase, fenced, eventDone)
}

/** What a purchase that is at its end says; its marks are only noted, but for a credited one's. */
async function endedOutcome(
  deps: PurchaseDeps,
  purchase: Purchase,
  eventDone: readonly Write[],
): Promise<PurchaseOutcome> {
  if (purchase.state === 'credited') return { status: 'credited', purchase }
  await writeUnlessDone(deps, eventDone)
  if (isOpen(purchase)) return { status: 'pending' }
  return { status: purchase.state === 'declined' ? 'declined' : 'abandoned' }
}

/** The customer has to authenticate; of a renewal they are told so, by notice and mail. */
async function askForAuthentication(
  deps: PurchaseDeps,
  purchase: Purchase,
  payment: Payment,
  clientSecret: string | undefined,
  eventDone: readonly Write[],
): Promise<PurchaseOutcome> {
  const asked: PurchaseOutcome = { status: 'action required', clientSecret }
  if (purchase.state === 'action_required') {
    await writeUnlessDone(deps, eventDone)
    return asked
  }
  const { accountId, id, kind } = purchase
  const other = await transactPurchase(deps, purchase, (profile, card) => [
    {
      update: keys.purchase(accountId, id),
      set: expr`SET #state = ${'action_required'}, #paymentId = ${payment.id}, #dueAtMs = ${deps.clock.nowMs() + AUTHENTICATION_POLL_MS}`,
      if: expr`#state IN (${'created'}, ${'saved'})`,
    },
    ...(kind === 'renewal' ? renewalNeedsAuthentication(deps, profile, purchase) : []),
    // The customer may rather change it.
    ...(kind === 'renewal' ? markDeclined(accountId, card, true) : []),
    ...eventDone,
  ])
  if (!other || other.state === 'action_required') return asked
  return endedOutcome(deps, other, eventDone)
}

/** No money can move by it any more: the account is free for another one. */
export async function endPurchase(
  deps: PurchaseDeps,
  purchase: Purchase,
  decline: Decline | undefined,
  eventDone: readonly Write[] = [],
): Promise<PurchaseOutcome> {
  const { accountId, id } = purchase
  const state = decline ? 'declined' : 'abandoned'
  const other = await transactPurchase(deps, purchase, (profile, card) => {
    const renewal =
      purchase.kind === 'renewal' && decline ? declinedRenewal(deps, profile, purchase, decline) : undefined
    return [
      {
        update: keys.purchase(accountId, id),
        set: expr`SET #state = ${state} REMOVE #due, #dueAtMs`,
        // Of one whose payment was not known: nobody may have come to know it since.
        if: purchase.paymentId === undefined ? expr`#state = ${'created'}` : stillOpen,
      },
      ...endOnProfile(deps, profile, purchase, [
        ...(decline ? [lastDeclined(deps, purchase)] : []),
        ...(renewal?.set ?? []),
      ]),
      ...(decline ? markDeclined(accountId, card, true) : []),
      ...(renewal?.writes ?? []),
      ...lateNotice(deps, purchase, decline !== undefined),
      ...eventDone,
    ]
  })
  return other ? endedOutcome(deps, other, eventDone) : { status: state }
}

/** Whoever was told that it is pending has had no answer yet; a renewal tells of itself. */
function lateNotice(deps: PurchaseDeps, purchase: Purchase, declined: boolean): Write[] {
  const { accountId, bundle, kind } = purchase
  if (kind === 'renewal' || isLeased(deps, purchase)) return []
  const text = declined
    ? `Your payment for the ${bundle} bundle was declined. Nothing was charged.`
    : `We cancelled your payment for the ${bundle} bundle. Nothing was charged.`
  return [{ put: newNotice(deps, accountId, 'purchase_failed', text) }]
}

const lastDeclined = (deps: PurchaseDeps, { id, fingerprint }: Purchase): Expression =>
  expr`#lastPurchase = ${{ id, fingerprint, outcome: 'declined', atMs: deps.clock.nowMs() }}`

function endOnProfile(deps: PurchaseDeps, profile: Profile, { id }: Purchase, set: Expression[]): Write[] {
  const remove = slotToFree(profile, id)
  if (set.length + remove.length === 0) return []
  const noted = expr`#updatedAtMs = ${deps.clock.nowMs()}`
  // The slot is checked: what `set` holds was read with it.
  const held = profile.openPurchase
  return [
    {
      update: keys.profile(profile.id),
      set: setRemove([noted, ...set], remove),
      if: held === undefined ? expr`attribute_not_exists(#openPurchase)` : expr`#openPurchase = ${held}`,
    },
  ]
}
