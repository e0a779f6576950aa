/**
 * A refund that an operator orders goes `created → made | refused`. It is stored with its literal parameters and its
 * purchase's only slot (`openRefund`) before Stripe is asked. Once stored it is carried out, by its request or by
 * settle-payments, until Stripe has made it or refused it: Stripe has no fence for a refund, as cancelling is one for a
 * payment. The ledger follows the charge (`reversal.ts`), so the webhook of a refund of ours finds nothing left to do.
 */

import * as z from 'zod/mini'
import { auditWrites } from '../audit/entry.ts'
import { isPaymentDeleted } from '../cards/absence.ts'
import { DomainError } from '../errors.ts'
import type { Deps, MoneyDeps, NewRefund } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys, refundKey } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import { ConditionFailed } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { HOUR_MS } from '../time.ts'
import { type Purchase, readPurchase } from './purchase.ts'
import { applyReversal } from './reversal.ts'

const refundSchema = z.object({
  id: z.string(),
  accountId: z.string(),
  purchaseId: z.string(),
  paymentId: z.string(),
  state: z.enum(['created', 'made', 'refused']),
  /** In the minor unit of `currency`, both as those of the purchase. */
  amountCents: z.number(),
  currency: z.string(),
  createdAtMs: z.number(),
  /** The provider's id, once it has made the refund. */
  refundId: z.optional(z.string()),
  /** Why the provider refused it. `failed`: the bank did not take it. `absent`: the payment has been deleted. */
  refusal: z.optional(z.enum(['disputed', 'refunded', 'refused', 'failed', 'absent'])),
})

export type OrderedRefund = z.infer<typeof refundSchema>

/** Parses a stored refund. @throws Error if the item is not a refund. */
export const parseRefund = (item: Item): OrderedRefund => z.parse(refundSchema, item)

/** @throws Error if there is none, although a request or a purchase names it. */
export async function readOrderedRefund(
  deps: Deps<'table'>,
  accountId: string,
  refundId: string,
): Promise<OrderedRefund> {
  const item = await deps.table.get(refundKey(accountId, refundId))
  if (!item) throw new Error('a refund that something names does not exist')
  return parseRefund(item)
}

/** Frees the purchase's slot, in the write that settles its refund. */
const freeSlot = ({ accountId, purchaseId, id }: OrderedRefund): Write => ({
  update: keys.purchase(accountId, purchaseId),
  set: expr`REMOVE #openRefund`,
  if: expr`#openRefund = ${id}`,
})

/**
 * Takes a stored refund to its end: Stripe makes or refuses it, the ledger follows, the purchase is free for another
 * one. Safe to repeat, also at once.
 * @param isFirst whether nobody can have sent it before.
 * @throws DomainError `temporarily_unavailable` as long as its outcome is unknown or not booked
 */
export async function advanceRefund(
  deps: MoneyDeps,
  refund: OrderedRefund,
  isFirst: boolean,
): Promise<OrderedRefund> {
  const sent = refund.state === 'created' ? await sendRefund(deps, refund, isFirst) : refund
  if (sent.state === 'made') await finishRefund(deps, sent)
  return sent
}

/** Books a refund that Stripe has made, and frees the purchase's slot. */
async function finishRefund(deps: MoneyDeps, refund: OrderedRefund): Promise<void> {
  const { accountId, id, purchaseId, paymentId } = refund
  const purchase = await readPurchase(deps, accountId, purchaseId)
  const payment = await deps.payments.readPayment(paymentId)
  if (!purchase || payment?.latestChargeId === undefined) throw new DomainError('temporarily_unavailable')
  await applyReversal(deps, purchase, payment.latestChargeId)
  await writeUnlessDone(deps, [
    {
      update: refundKey(accountId, id),
      set: expr`REMOVE #due, #dueAtMs`,
      if: expr`#state = ${'made'} AND attribute_exists(#due)`,
    },
    freeSlot(refund),
  ])
}

/** Asks Stripe for the refund and stores the answer. @returns the refund as stored. */
async function sendRefund(deps: MoneyDeps, refund: OrderedRefund, isFirst: boolean): Promise<OrderedRefund> {
  const answer = await answerOf(deps, refund, isFirst)
  const { accountId, id, purchaseId, amountCents } = refund
  if (answer.status !== 'refused') return store(deps, { ...refund, state: 'made', refundId: answer.id }, [])
  const refusal = answer.reason
  const about = { purchase: purchaseId, refund: id, amountCents, refusal }
  return store(deps, { ...refund, state: 'refused', refusal }, [
    freeSlot(refund),
    ...auditWrites(deps, { action: 'operator.refund_refused', accountId, after: about }),
  ])
}

type Answer =
  | { status: 'made'; id: string }
  | { status: 'refused'; reason: NonNullable<OrderedRefund['refusal']> }

/**
 * Stripe's answer. A repeat looks for the refund first: Stripe remembers an idempotency key for a day only. What
 * Stripe refuses may be there already, too.
 */
async function answerOf(deps: MoneyDeps, refund: OrderedRefund, isFirst: boolean): Promise<Answer> {
  const { id, accountId, purchaseId, paymentId } = refund
  const find = () => deps.payments.findRefund(paymentId, id)
  try {
    const made =
      (isFirst ? undefined : await find()) ?? (await deps.payments.createRefund(orderOf(deps, refund)))
    return toAnswer(made.status === 'refused' ? ((await find()) ?? made) : made)
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'not_found')) throw error
    const purchase = await readPurchase(deps, accountId, purchaseId)
    // With the secret key of another account every payment is absent.
    if (!purchase || !(await isPaymentDeleted(deps, error, purchase)))
      throw new DomainError('temporarily_unavailable', { cause: error })
    return { status: 'refused', reason: 'absent' }
  }
}

function toAnswer(made: Awaited<ReturnType<MoneyDeps['payments']['createRefund']>>): Answer {
  if (made.status === 'refused') return made
  if (made.status === 'failed' || made.status === 'canceled') return { status: 'refused', reason: 'failed' }
  return { status: 'made', id: made.id }
}

/** An hour before Stripe may forget an idempotency key, so that no call under an old key meets one under a new one. */
const KEY_MS = 23 * HOUR_MS

/** The literal parameters: equal for every try, except that each day has a key of its own. */
function orderOf({ clock, paymentScope }: MoneyDeps, refund: OrderedRefund): NewRefund {
  const { id, accountId, purchaseId, paymentId, amountCents, createdAtMs } = refund
  const day = Math.max(0, Math.floor((clock.nowMs() - createdAtMs) / KEY_MS))
  return {
    paymentId,
    amountCents,
    metadata: { account: accountId, purchase: purchaseId, refund: id, stage: paymentScope.stage },
    idempotencyKey: day === 0 ? `refund_${id}` : `refund_${id}_${day}`,
  }
}

/** Stores how a refund was answered. @returns the refund as stored, which a concurrent try may have answered first. */
async function store(
  deps: Deps<'table'>,
  answered: OrderedRefund,
  more: readonly Write[],
): Promise<OrderedRefund> {
  const { accountId, id, state, refundId, refusal } = answered
  const set =
    state === 'made'
      ? expr`SET #state = ${state}, #refundId = ${refundId}`
      : expr`SET #state = ${state}, #refusal = ${refusal} REMOVE #due, #dueAtMs`
  try {
    const update = { update: refundKey(accountId, id), set, if: expr`#state = ${'created'}` }
    if (more.length > 0) await deps.table.transact([update, ...more])
    else await deps.table.update(update.update, update.set, update.if)
    return answered
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    return readOrderedRefund(deps, accountId, id)
  }
}

/** Whether money of the purchase can go back: it was paid, and no refund of ours is open. */
export const isRefundable = (purchase: Purchase): purchase is Purchase & { paymentId: string } =>
  purchase.state === 'credited' && purchase.paymentId !== undefined
