import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { type OperatorRequest, operatorKey } from '../ledger/operator-entries.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { applyLedger, readQuota } from '../quota/apply-ledger.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys, refundKey } from '../table/keys.ts'
import { isLeased, LEASE_MS } from '../table/lease.ts'
import { retryRaces } from '../table/race.ts'
import { type RequestKey, readRequestKey, storeRequestKey } from '../table/request-key.ts'
import { currencyRules } from './currencies.ts'
import { unitsForReversal } from './owed-units.ts'
import { type Purchase, readPurchase } from './purchase.ts'
import { advanceRefund, isRefundable, type OrderedRefund, readOrderedRefund } from './refund.ts'

/** How much of a purchase goes back. */
export interface RefundWanted {
  /**
   * `all` that was not refunded or disputed yet. `units_left`: what the units left are worth, at the purchase's price and
   * at most its own units, so that none is owed. `amount`: that of `amountCents`.
   */
  what: 'all' | 'units_left' | 'amount'
  /** In the minor unit of the purchase's currency. */
  amountCents?: number | undefined
}

/** `pending`: the outcome is unknown, and settle-payments settles it. A repeat with the same key tells how it stands. */
export interface RefundAnswer {
  status: 'made' | 'pending'
  id: string
  amountCents: number
  currency: string
  /** An earlier copy of the request has ordered the refund. */
  replayed: boolean
}

/**
 * An operator refunds a purchase through Stripe; the units go back as for every refund. With an Idempotency-Key a
 * repeated request gets the refund of the first one, whatever happens in between.
 * @throws DomainError `not_found`, `not_refundable`, `refund_open`, `refund_refused`, `idempotency_key_reused`,
 *   `temporarily_unavailable` before the refund is stored
 */
export async function orderRefund(
  deps: MoneyDeps,
  of: { accountId: string; purchaseId: string },
  wanted: RefundWanted,
  request: OperatorRequest,
): Promise<RefundAnswer> {
  if ((wanted.what === 'amount') !== (wanted.amountCents !== undefined))
    throw new DomainError('invalid_request', {
      fields: [{ field: 'amountCents', message: 'goes with `what: amount`, and only with it' }],
    })
  const { refund, replayed } = await retryRaces(
    deps,
    () => beginOrFind(deps, of, wanted, request),
    'temporarily_unavailable',
  )
  // The first copy of the request may still be at work, or has ended.
  if (replayed && (refund.state !== 'created' || isLeased(deps, refund)))
    return refundAnswer(refund, replayed)
  const settled = await advanceRefund(deps, refund, !replayed).catch((error: unknown) => {
    if (!(error instanceof DomainError && error.code === 'temporarily_unavailable')) throw error
    const { accountId, id } = refund
    deps.log.warn('a refund is not settled yet; settle-payments will settle it', error, {
      accountId,
      refund: id,
    })
    return undefined
  })
  // The answer may have been stored although the ledger could not follow.
  return refundAnswer(settled ?? (await refundAsStored(deps, refund)), replayed)
}

const refundAsStored = (deps: Deps<'table'>, refund: OrderedRefund): Promise<OrderedRefund> =>
  readOrderedRefund(deps, refund.accountId, refund.id).catch(() => refund)

/** @throws ConditionFailed if somebody has changed the purchase or used the key meanwhile */
async function beginOrFind(
  deps: MoneyDeps,
  { accountId, purchaseId }: { accountId: string; purchaseId: string },
  wanted: RefundWanted,
  { reason, idempotencyKey }: OperatorRequest,
): Promise<{ refund: OrderedRefund; replayed: boolean }> {
  const key =
    idempotencyKey === undefined
      ? undefined
      : await readRequestKey(deps, accountId, operatorKey(idempotencyKey), [
          'refund',
          purchaseId,
          wanted,
          reason,
        ])
  if (key?.replaces !== undefined)
    return { refund: await readOrderedRefund(deps, accountId, key.replaces), replayed: true }
  // Never put untrusted text into a sort key, which DynamoDB limits to 1,024 bytes.
  const purchase = /^[0-9a-f]{24}$/.test(purchaseId)
    ? await readPurchase(deps, accountId, purchaseId)
    : undefined
  if (!purchase) throw new DomainError('not_found')
  if (!isRefundable(purchase)) throw new DomainError('not_refundable')
  if (purchase.openRefund !== undefined) throw new DomainError('refund_open')
  const left = wanted.what === 'units_left' ? await unitsLeft(deps, accountId) : 0
  const amountCents = refundCents(purchase, wanted, left)
  if (amountCents <= 0) throw new DomainError('not_refundable')
  const refund = await begin(deps, purchase, amountCents, { reason, key })
  return { refund, replayed: false }
}

async function unitsLeft(deps: Deps<'table'>, accountId: string): Promise<number> {
  await applyLedger(deps, accountId)
  return (await readQuota(deps, accountId)).left
}

/** What goes back, in the minor unit of the purchase's currency; 0 if that is not possible. Pure. */
export function refundCents(purchase: Purchase, wanted: RefundWanted, left: number): number {
  const { units, amountCents, refundedCents, disputedCents, currency } = purchase
  const reversedCents = refundedCents + disputedCents
  const restCents = amountCents - reversedCents
  if (wanted.what === 'all') return restCents
  const { what, amountCents: wantedCents = 0 } = wanted
  if (what === 'amount') return wantedCents <= restCents ? wantedCents : 0
  const gone = unitsForReversal(purchase, reversedCents)
  const targetUnits = gone + Math.min(left, units - gone)
  if (targetUnits === units) return restCents
  // Rounded down, so that the units that follow are never more than those left.
  const cents = Math.floor((amountCents * targetUnits) / units) - reversedCents
  return Math.max(0, cents - (cents % currencyRules(currency).step))
}

/** Stores the refund and takes the purchase's slot, as long as nothing else has gone back since it was read. */
async function begin(
  deps: Deps<'table'>,
  purchase: Purchase & { paymentId: string },
  amountCents: number,
  { reason, key }: { reason: string; key: RequestKey | undefined },
): Promise<OrderedRefund> {
  const { accountId, id: purchaseId, paymentId, currency, refundedCents, disputedCents } = purchase
  const createdAtMs = deps.clock.nowMs()
  const refund: OrderedRefund = {
    id: createdAtMs.toString(16).padStart(12, '0') + deps.ids.hex(6),
    accountId,
    purchaseId,
    paymentId,
    state: 'created',
    amountCents,
    currency,
    createdAtMs,
  }
  const due = dueAt('REFUND', accountId, createdAtMs + LEASE_MS)
  await deps.table.transact([
    {
      update: keys.purchase(accountId, purchaseId),
      set: expr`SET #openRefund = ${refund.id}`,
      if: expr`#state = ${'credited'} AND attribute_not_exists(#openRefund) AND #refundedCents = ${refundedCents} AND #disputedCents = ${disputedCents}`,
    },
    { put: { ...refundKey(accountId, refund.id), ...refund, ...due }, if: expr`attribute_not_exists(pk)` },
    ...auditWrites(deps, {
      action: 'operator.refunded',
      accountId,
      reason,
      before: { refundedCents, disputedCents },
      after: { purchase: purchaseId, refund: refund.id, amountCents, currency },
    }),
    ...(key ? [storeRequestKey(deps, accountId, key, refund.id)] : []),
  ])
  return refund
}

const REFUSED: Readonly<Record<NonNullable<OrderedRefund['refusal']>, string>> = {
  disputed: 'The payment is disputed, so that its bank has the money already. Nothing was refunded.',
  refunded: 'Stripe has refunded so much of the payment that less is left than was asked for.',
  refused: 'Stripe refused the refund, and no money went back. Its Dashboard says why.',
  failed: 'The bank did not take the refund, and no money went back.',
  absent: 'Stripe has deleted the payment, so that nothing of it can go back.',
}

function refundAnswer(refund: OrderedRefund, replayed: boolean): RefundAnswer {
  const { id, state, amountCents, currency, refusal = 'refused' } = refund
  if (state === 'refused') throw new DomainError('refund_refused', { detail: REFUSED[refusal], replayed })
  return { status: state === 'made' ? 'made' : 'pending', id, amountCents, currency, replayed }
}
