import { type Account, type Profile, parseProfile, requireActive } from '../account/account.ts'
import { countCardAttempt } from '../cards/velocity.ts'
import { DomainError } from '../errors.ts'
import type { MoneyDeps } from '../ports.ts'
import { expr, join, unchangedSince } from '../table/expression.ts'
import { keys, REQUEST_KEPT_MS, ttlAt } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { newPurchase, type Order, type Purchase } from './purchase.ts'
import { renewalUnchanged } from './renewal.ts'

/** An Idempotency-Key to store with the purchase that its request begins. */
export interface RequestKey {
  /** Digest of the key. */
  mac: string
  /** Digest of the request that came with the key. */
  request: string
  /** Id of the abandoned purchase that the stored key belongs to; undefined for a new key. */
  replaces: string | undefined
}

/** Indexes of the checks of the default card and of its owner's choice in the transaction. */
const CARD = 2
const DEFAULT_CARD = 3

/**
 * Stores a purchase and takes the account's only purchase slot (`openPurchase`) in one transaction, so that
 * no other purchase of the account can begin before this one has ended. Sends nothing to the provider yet.
 * @returns undefined if a concurrent request has changed the account or used the key: read again and retry.
 * @throws DomainError `account_deactivated`, `account_suspended`, `no_card`, `too_many_cards_tried`
 */
export async function beginPurchase(
  deps: MoneyDeps,
  account: Account,
  order: Order,
  key?: RequestKey,
): Promise<Purchase | undefined> {
  const { purchase, item } = newPurchase(deps, order, account.email)
  try {
    await deps.table.transact([
      takePurchaseSlot(deps, account, purchase),
      { put: item },
      // A sign-up may use a card that is not on file; the provider decides whether the card is usable.
      ...(purchase.kind === 'signup' ? [] : [cardOnFile(purchase), stillDefault(purchase)]),
      ...(key ? [storeRequestKey(deps, purchase, key)] : []),
    ])
    return purchase
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const profile = error.failed.get(0)
    if (profile) requireActive(parseProfile(profile))
    const isSameCard = purchase.kind !== 'signup' && !error.failed.has(DEFAULT_CARD)
    if (!profile && isSameCard && error.failed.has(CARD)) throw new DomainError('no_card')
    return undefined
  }
}

/** What `buyBundle` reads of the profile before it begins a purchase; an earlier click may have changed it. */
const ORDER_FIELDS = ['emailVerified', 'bundle', 'lastPurchase'] as const satisfies (keyof Profile)[]

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
function takePurchaseSlot(deps: MoneyDeps, account: Account, { id, kind, cycle }: Purchase): Write {
  const set = [expr`#openPurchase = ${id}`]
  const conditions = [
    expr`#status = ${'active'} AND attribute_not_exists(#openPurchase)`,
    unchangedSince(account, ORDER_FIELDS),
    ...(cycle === undefined ? [] : [expr`#ledgerSeq = ${cycle}`, renewalUnchanged(account)]),
  ]
  if (kind === 'signup') {
    const nowMs = deps.clock.nowMs()
    set.push(expr`#cardTriesMs = ${countCardAttempt(account.cardTriesMs ?? [], nowMs)}`)
    conditions.push(unchangedSince(account, ['cardTriesMs']))
  }
  return {
    update: keys.profile(account.id),
    set: join([expr`SET `, join(set, ', ')], ''),
    if: join(conditions, ' AND '),
  }
}

function storeRequestKey(deps: MoneyDeps, { accountId, id }: Purchase, key: RequestKey): Write {
  const nowMs = deps.clock.nowMs()
  const { mac, request, replaces } = key
  const isFree = expr`attribute_not_exists(pk) OR #ttl <= ${Math.floor(nowMs / 1000)}`
  return {
    put: { ...keys.request(accountId, mac), purchaseId: id, request, ...ttlAt(nowMs + REQUEST_KEPT_MS) },
    if: replaces === undefined ? isFree : join([isFree, expr`#purchaseId = ${replaces}`], ' OR '),
  }
}

const cardOnFile = ({ accountId, asked }: Purchase): Write => ({
  check: keys.card(accountId, asked),
  if: expr`attribute_exists(#card) AND attribute_not_exists(#removing)`,
})

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
