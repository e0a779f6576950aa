import {
  type Account,
  type Profile,
  readAccount,
  requireActive,
  requireConfirmed,
} from '../account/account.ts'
import { ensureCustomer } from '../cards/customer.ts'
import { DomainError } from '../errors.ts'
import type { MoneyDeps } from '../ports.ts'
import { REQUEST_KEPT_MS } from '../table/keys.ts'
import { isLeased } from '../table/lease.ts'
import { type RequestKey, readRequestKey } from '../table/request-key.ts'
import { advancePurchase, settleAbandonedPurchase } from './advance.ts'
import { beginPurchase, defaultCardOf, type OrderBasis } from './begin.ts'
import { type Bundle, bundleOf, isSold } from './catalogue.ts'
import { fingerprintOf, isOpen, type Order, type Purchase, readPurchase } from './purchase.ts'
import type { PurchaseOutcome } from './settle.ts'

/** What a customer can order. Renewals have no request: check-quotas starts them. */
export type PurchaseRequest =
  | { kind: 'signup'; bundle: Bundle; cardId: string; address: NonNullable<Profile['address']> }
  | { kind: 'change'; bundle: Bundle }
  | { kind: 'buy' }

/**
 * `pending`: the outcome is unknown; a webhook or settle-payments settles the purchase later. `replayed`: the
 * purchase is that of an earlier copy of the request, and this request has begun none.
 */
export type PurchaseAnswer = ({ status: 'paid' } | { status: 'pending'; id: string }) & { replayed?: true }

/** A second click within this time after the end of a purchase gets the same answer. */
const SAME_CLICK_MS = 10_000

/** How long a second click waits for the first click's purchase to end. */
const JOIN_MS = 8_000
const JOIN_STEP_MS = 200

/** Attempts to begin a purchase; after a lost race the account is read again. */
const BUY_ATTEMPTS = 5

/**
 * Charges a price once and adds its units: sign-up, change and refill are one operation. With an
 * Idempotency-Key a repeated request gets the same answer, whatever happens in between. Without a key, a
 * second click joins the purchase while it is open, and gets the same answer shortly after its end; for a
 * sign-up or a change, as long as a key's.
 * @throws DomainError `email_unconfirmed`, `bundle_held`, `no_bundle`, `bundle_removed`, `no_card`,
 *   `too_many_cards_tried`, `card_declined`, `invalid_payment_method`, `payment_action_required`, `purchase_open`,
 *   `request_in_flight`,
 *   `idempotency_key_reused`, `account_deactivated`, `account_suspended`, `temporarily_unavailable`
 */
export async function buyBundle(
  deps: MoneyDeps,
  caller: Account,
  wanted: PurchaseRequest,
  idempotencyKey: string | undefined,
): Promise<PurchaseAnswer> {
  let account: Account | undefined = caller
  for (let tries = 0; account && tries < BUY_ATTEMPTS; tries++) {
    if (tries > 0) requireActive(account)
    const key =
      idempotencyKey === undefined
        ? undefined
        : await readPurchaseKey(deps, account.id, idempotencyKey, wanted)
    if (key?.earlier) return purchaseAnswer(key.earlier, await repeatRequest(deps, key.earlier), REPLAY)
    const order = await orderFor(deps, account, wanted, key === undefined)
    if (order === 'same click') return lastAnswer(account)
    const open = await openPurchase(deps, account)
    if (open) {
      const joined = await joinOrAbandon(deps, open, order, key === undefined)
      if (joined) return purchaseAnswer(open, joined, REPLAY)
    } else {
      const purchase = await beginPurchase(deps, account, pricedOrder(order), key?.request)
      if (purchase) {
        const outcome = await advancePurchase(deps, purchase)
        // Another card has taken the place of one that is gone at the provider.
        if (!(outcome.status === 'abandoned' && outcome.isCardGone)) return purchaseAnswer(purchase, outcome)
      }
    }
    account = await readAccount(deps, caller.id)
  }
  throw new DomainError('purchase_open')
}

/** An order without size and price, which count only when a purchase begins: an open purchase keeps its own. */
type UnpricedOrder = Omit<Order, 'bundle'> & { bundle: Pick<Bundle, 'name'> }

/** @throws DomainError `bundle_removed` if the catalogue no longer has the bundle that the account holds */
function pricedOrder(order: UnpricedOrder): Order {
  const { name } = order.bundle
  if (!isSold(name)) throw new DomainError('bundle_removed')
  return { ...order, bundle: bundleOf(name) }
}

/** The request as sent. It excludes the price, so a price change does not make it a different request. */
const requestContent = (wanted: PurchaseRequest) =>
  wanted.kind === 'buy' ? wanted : { ...wanted, bundle: wanted.bundle.name }

/**
 * Looks up an Idempotency-Key.
 * @returns `earlier`, the key's purchase, unless the purchase was abandoned; `request`, the key to store with
 *   a new purchase.
 * @throws DomainError `idempotency_key_reused`
 */
async function readPurchaseKey(
  deps: MoneyDeps,
  accountId: string,
  idempotencyKey: string,
  wanted: PurchaseRequest,
): Promise<{ earlier?: Purchase; request: RequestKey }> {
  const request = await readRequestKey(deps, accountId, idempotencyKey, requestContent(wanted))
  const earlier =
    request.replaces === undefined ? undefined : await readPurchase(deps, accountId, request.replaces)
  // An abandoned purchase charged nothing, so the same request may try again.
  const mayRetry = !earlier || earlier.state === 'abandoned'
  return { request, ...(!mayRetry && { earlier }) }
}

/**
 * Resumes the purchase of a repeated request if the purchase is open, and returns its outcome.
 * @throws DomainError `request_in_flight`
 */
async function repeatRequest(deps: MoneyDeps, purchase: Purchase): Promise<PurchaseOutcome> {
  const working = purchase.state === 'created' || purchase.state === 'saved'
  if (working && !purchase.promised && isLeased(deps, purchase)) throw new DomainError('request_in_flight')
  return continuePurchase(deps, purchase)
}

const continuePurchase = async (deps: MoneyDeps, purchase: Purchase): Promise<PurchaseOutcome> => {
  if (isOpen(purchase)) return advancePurchase(deps, purchase)
  if (purchase.state === 'credited') return { status: 'credited', purchase }
  return { status: purchase.state === 'declined' ? 'declined' : 'abandoned' }
}

/**
 * @returns the order; `same click` if a purchase with the same order ended a moment ago.
 * @throws DomainError `email_unconfirmed`, `bundle_held`, `no_bundle`, `no_card`
 */
async function orderFor(
  deps: MoneyDeps,
  account: OrderBasis,
  wanted: PurchaseRequest,
  mayBeSecondClick: boolean,
): Promise<UnpricedOrder | 'same click'> {
  const { id: accountId, lastPurchase: last } = account
  const isSame = (order: Pick<UnpricedOrder, 'kind' | 'bundle' | 'cardId'>) =>
    mayBeSecondClick &&
    last?.fingerprint === fingerprintOf(order) &&
    Math.abs(deps.clock.nowMs() - last.atMs) < (isHeldBy(last, order) ? REQUEST_KEPT_MS : SAME_CLICK_MS)
  if (wanted.kind === 'signup') {
    requireConfirmed(account)
    if (isSame(wanted)) return 'same click'
    if (account.bundle !== undefined) throw new DomainError('bundle_held')
    const { id: customerId } = await ensureCustomer(deps, account)
    return { ...wanted, accountId, customerId }
  }
  if (account.bundle === undefined) throw new DomainError('no_bundle')
  const bundle = wanted.kind === 'change' ? wanted.bundle : { name: account.bundle }
  const order = { accountId, kind: wanted.kind, bundle, ...defaultCardOf(account) }
  if (isSame(order)) return 'same click'
  if (wanted.kind === 'change' && account.bundle === bundle.name) throw new DomainError('bundle_held')
  return order
}

/**
 * Whether the account holds its bundle by this very order. A customer who holds a bundle does not sign up for it
 * or change to it, so such an order is a repeat even much later.
 */
const isHeldBy = (
  { outcome }: NonNullable<Profile['lastPurchase']>,
  { kind }: Pick<Order, 'kind'>,
): boolean => outcome === 'credited' && (kind === 'signup' || kind === 'change')

function lastAnswer({ lastPurchase }: Account): PurchaseAnswer {
  if (lastPurchase?.outcome === 'declined') throw new DomainError('card_declined', REPLAY)
  return { status: 'paid', ...REPLAY }
}

async function openPurchase(deps: MoneyDeps, account: Account): Promise<Purchase | undefined> {
  const { id, openPurchase: open } = account
  return open === undefined ? undefined : readPurchase(deps, id, open)
}

/**
 * Joins the purchase that has the slot if this is a second click. A different order ends that purchase if the
 * purchase waits for 3-D Secure or its lease has expired; a purchase that its customer was told is pending goes
 * on instead, so that both are served.
 * @returns the outcome to answer with; undefined if the slot is free now.
 * @throws DomainError `purchase_open`, `bundle_removed`
 */
async function joinOrAbandon(
  deps: MoneyDeps,
  open: Purchase,
  order: UnpricedOrder,
  mayBeSecondClick: boolean,
): Promise<PurchaseOutcome | undefined> {
  if (!isOpen(open)) return undefined
  if (mayBeSecondClick && open.fingerprint === fingerprintOf(order)) {
    const joined = await joinPurchase(deps, open)
    return joined.status === 'abandoned' ? undefined : joined
  }
  const isPromised = open.promised === true && open.state !== 'action_required'
  if (open.state !== 'action_required' && !isPromised && isLeased(deps, open))
    throw new DomainError('purchase_open')
  // An order that cannot begin must not end another purchase.
  pricedOrder(order)
  const settled = isPromised
    ? await advancePurchase(deps, open)
    : await settleAbandonedPurchase(deps, open, true)
  if (settled.status === 'pending' || settled.status === 'action required')
    throw new DomainError('purchase_open')
  return undefined
}

async function joinPurchase(deps: MoneyDeps, open: Purchase): Promise<PurchaseOutcome> {
  let now: Purchase | undefined = open
  for (let waitedMs = 0; waitedMs < JOIN_MS; waitedMs += JOIN_STEP_MS) {
    const isWorking = (now.state === 'created' || now.state === 'saved') && !now.promised
    if (!isWorking || !isLeased(deps, now)) return continuePurchase(deps, now)
    await deps.clock.wait(JOIN_STEP_MS)
    now = await readPurchase(deps, open.accountId, open.id)
    if (!now) throw new Error('a purchase disappeared while a second click waited for it')
  }
  return { status: 'pending' }
}

/** What every answer has that an earlier copy of the request got. */
const REPLAY = { replayed: true } as const

function purchaseAnswer(
  { id }: Purchase,
  outcome: PurchaseOutcome,
  replay: { replayed?: true } = {},
): PurchaseAnswer {
  const { status } = outcome
  switch (status) {
    case 'credited':
      return { status: 'paid', ...replay }
    case 'pending':
      return { status, id, ...replay }
    case 'action required':
      if (outcome.clientSecret === undefined) return { status: 'pending', id, ...replay }
      throw new DomainError('payment_action_required', { clientSecret: outcome.clientSecret, ...replay })
    case 'declined':
      throw new DomainError('card_declined', replay)
    case 'abandoned':
      if (outcome.isUnclear) return { status: 'pending', id, ...replay }
      // Nothing was charged, and the same request may be sent again.
      throw new DomainError('temporarily_unavailable')
  }
}
