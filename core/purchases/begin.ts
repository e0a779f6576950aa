import { type Account, type Profile, parseProfile, requireActive } from '../account/account.ts'
import { countCardAttempt } from '../cards/velocity.ts'
import { DomainError } from '../errors.ts'
import { expr, join, unchangedSince } from '../table/expression.ts'
import { KEPT_MS, keys, ttlAt } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { newPurchase, type Order, type Purchase } from './purchase.ts'
import type { PurchaseDeps } from './transaction.ts'

/** An Idempotency-Key as it is stored: what it was sent with, and the purchase that it stands for. */
export interface RequestKey {
  /** Digest of the key. */
  mac: string
  /** Digest of the request that came with it. */
  request: string
  /** A purchase that it stood for and that was given up before any money moved. */
  replaces: string | undefined
}

/** Where in the transaction the card is checked. */
const CARD = 2

/**
 * Stores a purchase and takes the account's one slot, in one transaction: if this is through, the purchase exists and
 * no other can begin before it is at its end. Nothing was sent to the provider yet.
 * @returns undefined if the account is not as it was read, or the key was used meanwhile: read again.
 * @throws DomainError `account_deactivated`, `account_suspended`, `too_many_cards_tried`
 */
export async function beginPurchase(
  deps: PurchaseDeps,
  account: Account,
  order: Order,
  key?: RequestKey,
): Promise<Purchase | undefined> {
  const { purchase, item } = newPurchase(deps, order)
  try {
    await deps.table.transact([
      takePurchaseSlot(deps, account, purchase),
      { put: item },
      // The card of a sign-up may be on file or not; the provider has the last word on both.
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

/** The slot, and of a sign-up the try of a card that it is. A renewal is one of the cycle that it was found due in. */
function takePurchaseSlot(deps: PurchaseDeps, account: Account, { id, kind, cycle }: Purchase): Write {
  const set = [expr`#openPurchase = ${id}`]
  // `lastPurchase`: who clicks twice may have been served since the account was read.
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

function storeRequestKey(deps: PurchaseDeps, { accountId, id }: Purchase, key: RequestKey): Write {
  const nowMs = deps.clock.nowMs()
  const { mac, request, replaces } = key
  const free = expr`attribute_not_exists(pk) OR #ttl <= ${Math.floor(nowMs / 1000)}`
  return {
    put: { ...keys.request(accountId, mac), purchaseId: id, request, ...ttlAt(nowMs + KEPT_MS.request) },
    if: replaces === undefined ? free : join([free, expr`#purchaseId = ${replaces}`], ' OR '),
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
