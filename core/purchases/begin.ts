import { type Account, type Profile, parseProfile, requireActive } from '../account/account.ts'
import { chargeRefusal, mayCharge } from '../cards/declined.ts'
import { mayProve } from '../cards/number.ts'
import { beginTry, tryRefusal } from '../cards/shared-limits.ts'
import { isLiveCard, parseStoredCard } from '../cards/stored.ts'
import { countCardAttempt, requireVelocity } from '../cards/velocity.ts'
import { redeemWrites } from '../coupons/redeem.ts'
import { DomainError } from '../errors.ts'
import type { MoneyDeps } from '../ports.ts'
import { expr, join, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { type RequestKey, storeRequestKey } from '../table/request-key.ts'
import { ConditionFailed, type Item, type Write } from '../table/table.ts'
import { newPurchase, type Order, type Purchase } from './purchase.ts'
import { renewalUnchanged } from './renewal.ts'

/** Indexes of the checks of the card and of its owner's choice, or of the counts of a sign-up, in the transaction. */
const CARD = 2
const DEFAULT_CARD = 3
const TRIES = 3

/**
 * Stores a purchase and takes the account's only purchase slot (`openPurchase`) in one transaction, so that
 * no other purchase of the account can begin before this one has ended. Sends nothing to the provider yet.
 * @returns undefined if a concurrent request has changed the account, used the key or redeemed the coupon: read again
 *   and retry.
 * @throws DomainError `account_deactivated`, `account_suspended`, `no_card`, `too_many_cards_tried`, and
 *   `card_declined` for a card about which the bank must not be asked again
 */
export async function beginPurchase(
  deps: MoneyDeps,
  account: Account,
  order: Order,
  key?: RequestKey,
): Promise<Purchase | undefined> {
  const { purchase, item } = newPurchase(deps, order, account.email)
  const isSignup = purchase.kind === 'signup'
  if (!isSignup) requireVelocity(account.chargeDeclinesMs ?? [], purchase.createdAtMs)
  const tries = beginTry(account, purchase.createdAtMs)
  try {
    await deps.table.transact([
      takePurchaseSlot(account, purchase),
      { put: item },
      cardUsable(purchase),
      ...(isSignup ? tries : [stillDefault(purchase)]),
      ...(order.coupon ? redeemWrites(order.coupon, purchase) : []),
      ...(key ? [storeRequestKey(deps, purchase.accountId, key, purchase.id)] : []),
    ])
    return purchase
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const profile = error.failed.get(0)
    if (profile) requireActive(parseProfile(profile))
    const isSameCard = isSignup || !error.failed.has(DEFAULT_CARD)
    if (!profile && isSameCard && error.failed.has(CARD)) throw refusedCard(purchase, error.failed.get(CARD))
    const refusal = !profile && isSignup ? tryRefusal(error, TRIES, tries, purchase.createdAtMs) : undefined
    if (refusal) throw refusal
    return undefined
  }
}

/** What `buyBundle` reads of the profile before it begins a purchase; an earlier click may have changed it. */
const ORDER_FIELDS = ['emailVerified', 'bundle', 'plan', 'lastPurchase'] as const satisfies (keyof Profile)[]

/** What an order may be derived from: these fields, the default card, and what never changes a price. */
export type OrderBasis = Pick<
  Account,
  (typeof ORDER_FIELDS)[number] | 'id' | 'email' | 'username' | 'name' | 'customer'
>

/**
 * Takes the slot, on the condition that all is as the decision to buy or to renew read it. A sign-up also
 * counts as an attempt to use a card; a renewal also requires that the account is still in the cycle in which
 * the renewal was due.
 */
function takePurchaseSlot(account: Account, { id, kind, cycle, createdAtMs }: Purchase): Write {
  const set = [expr`#openPurchase = ${id}`]
  const conditions = [
    expr`#status = ${'active'} AND attribute_not_exists(#openPurchase)`,
    unchangedSince(account, ORDER_FIELDS),
    ...(cycle === undefined ? [] : [expr`#ledgerSeq = ${cycle}`, renewalUnchanged(account)]),
  ]
  if (kind === 'signup') {
    set.push(expr`#cardTriesMs = ${countCardAttempt(account.cardTriesMs ?? [], createdAtMs)}`)
    conditions.push(unchangedSince(account, ['cardTriesMs']))
  }
  return {
    update: keys.profile(account.id),
    set: join([expr`SET `, join(set, ', ')], ''),
    if: join(conditions, ' AND '),
  }
}

/**
 * Condition: the bank may be asked about the card. The card of a sign-up need not be on file; the provider
 * decides whether it exists.
 */
const cardUsable = ({ accountId, asked, kind, createdAtMs }: Purchase): Write =>
  kind === 'signup'
    ? { check: keys.cardNumber(accountId, asked), if: mayProve(createdAtMs) }
    : {
        check: keys.card(accountId, asked),
        if: join(
          [expr`attribute_exists(#card) AND attribute_not_exists(#removing)`, mayCharge(createdAtMs)],
          ' AND ',
        ),
      }

function refusedCard({ kind, createdAtMs }: Purchase, item: Item | undefined): DomainError {
  if (kind === 'signup') return new DomainError('card_declined')
  if (!item || !isLiveCard(parseStoredCard(item))) return new DomainError('no_card')
  return chargeRefusal(item, createdAtMs) ?? new DomainError('card_declined')
}

/** The owner has not chosen another default card since the decision. */
const stillDefault = ({ accountId, customerId, asked }: Purchase): Write => ({
  check: keys.customer(accountId),
  if: expr`#id = ${customerId} AND #defaultCardId = ${asked}`,
})

/** @throws DomainError `no_card` */
export function defaultCardOf({ customer }: Pick<Account, 'customer'>): {
  customerId: string
  cardId: string
} {
  if (customer?.defaultCardId === undefined) throw new DomainError('no_card')
  return { customerId: customer.id, cardId: customer.defaultCardId }
}
