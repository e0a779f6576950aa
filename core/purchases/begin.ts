import { type Account, type Profile, parseProfile, requireActive } from '../account/account.ts'
import { countCardAttempt } from '../cards/velocity.ts'
import { DomainError } from '../errors.ts'
import type { MoneyDeps } from '../ports.ts'
import { expr, join, unchangedSince } from '../table/expression.ts'
import { keys, REQUEST_KEPT_MS, ttlAt } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { newPurchase, type Order, type Purchase } from './purchase.ts'

/** An Idempotency-Key to store with the purchase that its request begins. */
export interface RequestKey {
  /** Digest of the key. */
  mac: string
  /** Digest of the request that came with the key. */
  request: string
  /** Id of the abandoned purchase that the stored key belongs to; undefined for a new key. */
  replaces: string | undefined
}

/** Index of the card check in the transaction. */
const CARD = 2

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
      ...(purchase.kind === 'signup' ? [] : [cardOnFile(purchase)]),
      ...(key ? [storeRequestKey(deps, purchase, key)] : []),
    ])
    return purchase
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const profile = error.failed.get(0)
    if (profile) requireActive(parseProfile(profile))
    else if (purchase.kind !== 'signup' && error.failed.has(CARD)) throw new DomainError('no_card')
    return undefined
  }
}

/**
 * Takes the slot. A sign-up also counts as an attempt to use a card; a renewal also requires that the account
 * is still in the cycle in which the renewal was due.
 */
function takePurchaseSlot(deps: MoneyDeps, account: Account, { id, kind, cycle }: Purchase): Write {
  const set = [expr`#openPurchase = ${id}`]
  // `lastPurchase`: an earlier click may have completed since we read the account.
  const unchanged: (keyof Profile)[] = ['bundle', 'lastPurchase']
  if (kind === 'signup') {
    const nowMs = deps.clock.nowMs()
    set.push(expr`#cardTriesMs = ${countCardAttempt(account.cardTriesMs ?? [], nowMs)}`)
    unchanged.push('cardTriesMs')
  }
  const conditions = [
    expr`#status = ${'active'} AND attribute_not_exists(#openPurchase)`,
    unchangedSince(account, unchanged),
    ...(cycle === undefined ? [] : [expr`#ledgerSeq = ${cycle} AND #flags.#bundleAutoRenewal = ${true}`]),
  ]
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

/** @throws DomainError `no_card` */
export function defaultCardOf({ customer }: Account): { customerId: string; cardId: string } {
  if (customer?.defaultCardId === undefined) throw new DomainError('no_card')
  return { customerId: customer.id, cardId: customer.defaultCardId }
}
