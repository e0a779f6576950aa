import { type Account, type Profile, readAccount, requireActive } from '../account/account.ts'
import { ensureCustomer } from '../cards/customer.ts'
import { couponCode } from '../coupons/coupon.ts'
import { checkCoupon } from '../coupons/redeem.ts'
import { DomainError } from '../errors.ts'
import { isForHolders, isForNew, listedNames, type Offer, offerNamed, readPlans } from '../plans/current.ts'
import { heldBundle } from '../plans/held.ts'
import { type Bundle, isSameTerms } from '../plans/terms.ts'
import type { MoneyDeps } from '../ports.ts'
import { keys, REQUEST_KEPT_MS } from '../table/keys.ts'
import { isLeased } from '../table/lease.ts'
import { type RequestKey, readRequestKey, storeRequestKey } from '../table/request-key.ts'
import { ConditionFailed } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { advancePurchase, settleAbandonedPurchase } from './advance.ts'
import { beginPurchase, defaultCardOf, type OrderBasis } from './begin.ts'
import { fingerprintOf, isOpen, type Order, type Purchase, readPurchase } from './purchase.ts'
import type { PurchaseOutcome } from './settle.ts'

/** What a customer can order, a bundle by its name in upper or lower case. Renewals have no request: check-quotas starts them. */
export type PurchaseRequest =
  | (WithCoupon & {
      kind: 'signup'
      bundle: string
      cardId: string
      address: NonNullable<Profile['address']>
    })
  | (WithCoupon & { kind: 'change'; bundle: string })
  | (WithCoupon & { kind: 'buy' })

interface WithCoupon {
  /** The code of a coupon, as typed. */
  coupon?: string | undefined
}

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
 * @throws DomainError `bundle_held`, `no_bundle`, `bundle_removed`, `no_card`,
 *   `too_many_cards_tried`, `card_declined`, `invalid_payment_method`, `payment_action_required`, `purchase_open`,
 *   `request_in_flight`, those of `checkCoupon`,
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
    const { request } = key ?? {}
    const offer = wanted.kind === 'buy' ? undefined : await offerFor(deps, wanted)
    const order = await orderFor(deps, account, wanted, offer, key === undefined)
    if (order === 'same click') return lastAnswer(account)
    const tried = await tryOrder(deps, account, order, request).catch((error: unknown) =>
      keepDecline(deps, caller.id, request, error),
    )
    if (tried) return purchaseAnswer(tried.purchase, tried.outcome, tried.replay)
    account = await readAccount(deps, caller.id)
  }
  throw new DomainError('purchase_open')
}

/** @returns the purchase that serves the order; undefined if the account has changed: read it again and retry. */
async function tryOrder(
  deps: MoneyDeps,
  account: Account,
  order: UnpricedOrder,
  key: RequestKey | undefined,
): Promise<{ purchase: Purchase; outcome: PurchaseOutcome; replay?: { replayed: true } } | undefined> {
  const open = await openPurchase(deps, account)
  if (open) {
    const joined = await joinOrAbandon(deps, open, order, key === undefined)
    return joined && { purchase: open, outcome: joined, replay: REPLAY }
  }
  const purchase = await beginPurchase(deps, account, await pricedOrder(deps, order), key)
  if (!purchase) return undefined
  const outcome = await advancePurchase(deps, purchase)
  // Another card has taken the place of one that is gone at the provider.
  return outcome.status === 'abandoned' && outcome.isCardGone ? undefined : { purchase, outcome }
}

/** What a key stands for whose request was declined without a purchase. No id of a purchase. */
const DECLINED_AT_ONCE = 'declined'

/**
 * A card may be declined before a purchase has begun, or after one was abandoned, because its bank must not be asked
 * again. Without a purchase that says so, the key has to: else a later copy of the request could be paid.
 * @returns if a concurrent copy of the request has used the key: then its purchase is the answer
 * @throws the error, for every other request
 */
async function keepDecline(
  deps: MoneyDeps,
  accountId: string,
  key: RequestKey | undefined,
  error: unknown,
): Promise<undefined> {
  if (!key || !(error instanceof DomainError && error.code === 'card_declined')) throw error
  const item = await deps.table.get(keys.request(accountId, key.mac))
  const purchase = item && (await readPurchase(deps, accountId, String(item.beganId)))
  if (purchase && purchase.state !== 'abandoned') return undefined
  const declined = storeRequestKey(deps, accountId, { ...key, replaces: purchase?.id }, DECLINED_AT_ONCE)
  try {
    await writeAll(deps, [declined])
  } catch (failure) {
    if (!(failure instanceof ConditionFailed)) throw failure
    return undefined
  }
  throw error
}

/** An order whose bundle may be one that can no longer be bought, but whose open purchase keeps its own terms. */
type UnpricedOrder = Omit<Order, 'bundle' | 'coupon'> & {
  bundle: Bundle | Pick<Bundle, 'name'>
  coupon?: { code: string } | undefined
}

/**
 * @param open a purchase of the account that ends before this one begins
 * @throws DomainError `bundle_removed` if there are no terms for the bundle that the account holds, and those of
 *   `checkCoupon`
 */
async function pricedOrder(deps: MoneyDeps, order: UnpricedOrder, open?: Purchase): Promise<Order> {
  const { bundle, coupon, ...rest } = order
  if (!('units' in bundle)) throw new DomainError('bundle_removed')
  if (!coupon) return { ...rest, bundle }
  const isReturning = open?.coupon?.code === coupon.code
  const about = { accountId: order.accountId, bundle }
  return { ...rest, bundle, coupon: await checkCoupon(deps, about, coupon.code, isReturning) }
}

/** The coupon of a request. A text that is no code stays as it is, and is refused once the order is priced. */
const couponOf = ({ coupon }: WithCoupon): { code: string } | undefined =>
  coupon === undefined ? undefined : { code: couponCode(coupon) ?? coupon }

/** What is ordered, as it is sold now. @throws DomainError `invalid_request` if no bundle has the name */
async function offerFor(
  deps: MoneyDeps,
  wanted: { kind: 'signup' | 'change'; bundle: string },
): Promise<Offer> {
  const plans = await readPlans(deps)
  const offer = offerNamed(plans, wanted.bundle)
  // A path may have the name in any case.
  const isNamed = wanted.kind === 'change' || offer?.bundle.name === wanted.bundle
  return offer && isNamed ? offer : refuseName(wanted.kind, listedNames(plans.catalogue))
}

/** @throws DomainError `invalid_request` */
function refuseName(kind: 'signup' | 'change', names: readonly string[]): never {
  const field = kind === 'signup' ? 'name' : 'bundleName'
  throw new DomainError('invalid_request', {
    fields: [{ field, message: `must be one of ${names.join(', ')}` }],
  })
}

/** The request as sent. It excludes the price, so a price change does not make it a different request. */
const requestContent = (wanted: PurchaseRequest) => ({
  ...wanted,
  ...(wanted.kind !== 'buy' && { bundle: wanted.bundle.toUpperCase() }),
  coupon: couponOf(wanted)?.code,
})

/**
 * Looks up an Idempotency-Key.
 * @returns `earlier`, the key's purchase, unless the purchase was abandoned; `request`, the key to store with
 *   a new purchase.
 * @throws DomainError `idempotency_key_reused`, and `card_declined` for a key that stands for such an answer
 */
async function readPurchaseKey(
  deps: MoneyDeps,
  accountId: string,
  idempotencyKey: string,
  wanted: PurchaseRequest,
): Promise<{ earlier?: Purchase; request: RequestKey }> {
  const request = await readRequestKey(deps, accountId, idempotencyKey, requestContent(wanted))
  if (request.replaces === DECLINED_AT_ONCE) throw new DomainError('card_declined', REPLAY)
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
 * @throws DomainError `bundle_held`, `no_bundle`, `no_card`, and `invalid_request` for a bundle
 *   that the account may not take
 */
async function orderFor(
  deps: MoneyDeps,
  account: OrderBasis,
  wanted: PurchaseRequest,
  offer: Offer | undefined,
  mayBeSecondClick: boolean,
): Promise<UnpricedOrder | 'same click'> {
  const { id: accountId, lastPurchase: last } = account
  const coupon = couponOf(wanted)
  const isSame = (order: Pick<UnpricedOrder, 'kind' | 'bundle' | 'cardId' | 'moves' | 'coupon'>) =>
    mayBeSecondClick &&
    last?.fingerprint === fingerprintOf(order) &&
    Math.abs(deps.clock.nowMs() - last.atMs) < (isHeldBy(last, order) ? REQUEST_KEPT_MS : SAME_CLICK_MS)
  if (wanted.kind === 'signup' && offer) {
    const { bundle } = offer
    const { kind, cardId, address } = wanted
    const order = { accountId, kind, bundle, cardId, address, coupon }
    if (isSame(order)) return 'same click'
    if (account.bundle !== undefined) throw new DomainError('bundle_held')
    if (!isForNew(offer.plan)) refuseName('signup', offer.listed)
    const { id: customerId } = await ensureCustomer(deps, account)
    return { ...order, customerId }
  }
  if (account.bundle === undefined) throw new DomainError('no_bundle')
  if (!offer) {
    const held = heldBundle(account) ?? { name: account.bundle }
    const order = { accountId, kind: 'buy' as const, bundle: held, coupon, ...defaultCardOf(account) }
    return isSame(order) ? 'same click' : order
  }
  const order = {
    accountId,
    kind: 'change' as const,
    bundle: offer.bundle,
    coupon,
    ...defaultCardOf(account),
  }
  const moved = { ...order, moves: offer.bundle.version }
  if (mayMove(account, offer)) return isSame(moved) ? 'same click' : moved
  if (isSame(order) || isSame(moved)) return 'same click'
  if (account.bundle === offer.bundle.name) throw new DomainError('bundle_held')
  if (!isForNew(offer.plan)) refuseName('change', offer.listed)
  return order
}

/** Whether the account holds the plan at older terms, and may change to the present ones. */
function mayMove(account: OrderBasis, { plan, bundle }: Offer): boolean {
  const held = heldBundle(account)
  return account.bundle === bundle.name && isForHolders(plan) && !(held && isSameTerms(held, bundle))
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
  await pricedOrder(deps, order, open)
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
