import * as z from 'zod/mini'
import type { Deps } from '../ports.ts'
import type { WatchfulRun } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { dueAt, paymentKey } from '../table/keys.ts'
import { type Item, ignoreRefusal, type Write } from '../table/table.ts'
import { DAY_MS, MINUTE_MS } from '../time.ts'

/**
 * What we keep about a payment by its id: the purchase that it belongs to, whatever its metadata says later.
 * The record is due until the payment is final and agrees with the ledger.
 */
const recordSchema = z.object({
  accountId: z.optional(z.string()),
  /** The payment's purchase; undefined for a payment that the reconciliation found without one. */
  purchaseId: z.optional(z.string()),
  /** When the last alarm about the payment was raised. */
  alarmedAtMs: z.optional(z.number()),
})

export type PaymentRecord = z.infer<typeof recordSchema>

export const parsePaymentRecord = (item: Item): PaymentRecord => z.parse(recordSchema, item)

/**
 * When the reconciliation reads a payment on its own that it has not settled by then. Most payments are
 * settled before, a hundred with one call.
 */
const LOOK_AGAIN_MS = 30 * MINUTE_MS

/** An alarm about a payment is raised again after this time, as long as the reason stands. */
const ALARM_AGAIN_MS = DAY_MS

/** The write that records a purchase's payment, in the transaction that saves the payment's id. */
export const watchPayment = (
  deps: Deps,
  paymentId: string,
  owner: { accountId: string; purchaseId: string },
): Write => ({
  put: {
    ...paymentKey(paymentId),
    ...owner,
    ...dueAt('PAYMENT', owner.accountId, deps.clock.nowMs() + LOOK_AGAIN_MS),
  },
})

export async function readPaymentRecord(
  deps: Deps<'table'>,
  paymentId: string,
): Promise<PaymentRecord | undefined> {
  const item = await deps.table.get(paymentKey(paymentId))
  return item && parsePaymentRecord(item)
}

/** The payment took no money for good, or none of ours: nothing needs its record any more. */
export const removePaymentRecord = (deps: Deps<'table'>, paymentId: string): Promise<void> =>
  deps.table.remove(paymentKey(paymentId))

/** The payment has been credited: it needs no further look, but refunds may come, which its record explains. */
export const closePaymentRecord = (deps: Deps<'table'>, paymentId: string): Promise<unknown> =>
  deps.table
    .update(paymentKey(paymentId), expr`REMOVE #due, #dueAtMs, #alarmedAtMs`, expr`attribute_exists(#due)`)
    .catch(ignoreRefusal)

/** The payment is still open, so it is looked at again. */
export async function postponePaymentRecord(deps: Deps<'table'>, paymentId: string): Promise<void> {
  const { due, dueAtMs } = dueAt('PAYMENT', '0', deps.clock.nowMs() + LOOK_AGAIN_MS)
  await deps.table.update(paymentKey(paymentId), expr`SET #due = ${due}, #dueAtMs = ${dueAtMs}`)
}

/**
 * Raises an alarm about a payment, once a day as long as its reason stands. The alarm comes before the mark:
 * a crash between them repeats the alarm instead of losing it.
 */
export async function alarmAboutPayment(
  deps: Deps<'table'>,
  { alarm }: Pick<WatchfulRun, 'alarm'>,
  paymentId: string,
  sentence: string,
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const { alarmedAtMs } = (await readPaymentRecord(deps, paymentId)) ?? {}
  const isKnown = alarmedAtMs !== undefined && Math.abs(nowMs - alarmedAtMs) < ALARM_AGAIN_MS
  if (!isKnown) alarm(`payment ${paymentId}: ${sentence}`)
  const lastMs = isKnown ? alarmedAtMs : nowMs
  const { due, dueAtMs } = dueAt('PAYMENT', '0', lastMs + ALARM_AGAIN_MS)
  await deps.table.update(
    paymentKey(paymentId),
    expr`SET #due = ${due}, #dueAtMs = ${dueAtMs}, #alarmedAtMs = ${lastMs}`,
  )
}
