import * as z from 'zod/mini'
import { parseProfile } from '../account/account.ts'
import { syncCustomer } from '../cards/customer.ts'
import { termsSchema } from '../plans/terms.ts'
import type { Deps, MoneyDeps, Payment } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { digestOf } from '../table/request-key.ts'
import { ConditionFailed } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'
import { watchPayment } from './payment-record.ts'
import { begunAtMs, type Purchase, purchaseKinds, purchaseOf } from './purchase.ts'

/**
 * A table that was restored from a backup lacks the purchases that began since. Stripe has their payments, whose metadata
 * says what was sold: from it the comparison of payments makes the purchase again, and credits it as any other. Renewals
 * wait until that is done: an account whose last purchase is lost would look as if its units ran low, and pay twice.
 */

/** For so long after the restore the functions of the deployment before may have made payments. */
const DEPLOYING_MS = 30 * MINUTE_MS

/** Payments made before this time may be of purchases that are lost; undefined where nothing was restored. */
const lostBeforeMs = ({ sessionsSinceMs }: Deps): number | undefined =>
  sessionsSinceMs === undefined ? undefined : sessionsSinceMs + DEPLOYING_MS

/** Whether payments from before the restore wait for their comparison. Without a restore it reads nothing. */
export async function hasLostPurchases(deps: Deps<'table'>): Promise<boolean> {
  const untilMs = lostBeforeMs(deps)
  if (untilMs === undefined) return false
  const progress = await deps.table.get(keys.job('compare-payments'))
  return Number(progress?.untilMs ?? 0) < untilMs
}

/** What a payment says of its purchase, as `soldText` writes it. */
const soldSchema = z.object({
  kind: z.enum(purchaseKinds),
  bundle: z.string(),
  units: z.number().check(z.int(), z.positive()),
  plan: z.optional(termsSchema),
})

function readSold(text: string | undefined): z.infer<typeof soldSchema> | undefined {
  try {
    return z.parse(soldSchema, JSON.parse(text ?? ''))
  } catch {
    // Somebody has edited it, or an older version has made the payment: an alarm asks a person.
    return undefined
  }
}

/**
 * Makes the purchase of a succeeded payment again, if a restore has lost it. The caller credits it.
 * @returns undefined where nothing was restored, for a later payment, for one that does not say what was sold, and for an
 *   account that the table does not have.
 */
export async function remakeLostPurchase(deps: MoneyDeps, payment: Payment): Promise<Purchase | undefined> {
  const named = purchaseOf(payment)
  const sold = readSold(payment.metadata.sold)
  const isLost = payment.createdMs < (lostBeforeMs(deps) ?? 0)
  const { customerId, paymentMethodId = 'lost' } = payment
  if (!named || !sold || !isLost || customerId === undefined) return undefined
  const { accountId, purchaseId } = named
  const purchase: Purchase = {
    id: purchaseId,
    accountId,
    ...sold,
    state: 'saved',
    amountCents: payment.amountCents,
    currency: payment.currency.toUpperCase(),
    customerId,
    asked: paymentMethodId,
    cardId: paymentMethodId,
    fingerprint: digestOf(['lost', purchaseId]),
    paymentId: payment.id,
    createdAtMs: begunAtMs(purchaseId),
    refundedCents: 0,
    disputedCents: 0,
    returnedUnits: 0,
    returnedCents: 0,
  }
  if (!(await bringCustomerBack(deps, accountId, customerId))) return undefined
  const due = dueAt('PURCHASE', accountId, deps.clock.nowMs())
  try {
    await deps.table.transact([
      {
        put: { ...keys.purchase(accountId, purchaseId), ...purchase, ...due },
        if: expr`attribute_not_exists(pk)`,
      },
      watchPayment(deps, payment.id, { accountId, purchaseId }),
    ])
  } catch (error) {
    // Another run was first, and credits it.
    if (!(error instanceof ConditionFailed)) throw error
  }
  return purchase
}

/** The customer of an account that had none at the time of the backup. @returns false if there is no such account */
async function bringCustomerBack(deps: MoneyDeps, accountId: string, customerId: string): Promise<boolean> {
  const item = await deps.table.get(keys.profile(accountId))
  if (!item) return false
  const { customerId: known } = parseProfile(item)
  if (known === undefined) {
    try {
      await deps.table.transact([
        {
          update: keys.profile(accountId),
          set: expr`SET #customerId = ${customerId}`,
          if: expr`attribute_exists(pk) AND attribute_not_exists(#customerId)`,
        },
        { put: { ...keys.customerOwner(customerId), accountId } },
      ])
    } catch (error) {
      // The owner has just begun another purchase, and the customer is there.
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  // An earlier run may have ended between the two.
  await syncCustomer(deps, accountId, known ?? customerId)
  return true
}
