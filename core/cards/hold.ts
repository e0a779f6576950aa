import * as z from 'zod/mini'
import type { Account, Profile } from '../account/account.ts'
import type { Deps, NewPayment, Payment } from '../ports.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import type { Item } from '../table/table.ts'

/** What a hold takes for a moment: one dollar (EMCP). */
const HOLD_CENTS = 100

const holdSchema = z.object({
  id: z.string(),
  accountId: z.string(),
  /** `change` also makes the card the default one and starts the 24 hours. */
  purpose: z.enum(['verify', 'change']),
  /** The payment method as it was asked for; a test card's alias becomes another one each time it is used. */
  asked: z.string(),
  /** The payment method that the payment has. */
  cardId: z.string(),
  customerId: z.string(),
  /** A billing address to store when the card is proved. */
  address: z.optional(z.custom<NonNullable<Profile['address']>>()),
  /**
   * `created`: stored, nothing can be held yet. `saved`: the payment's id is known, so it may be confirmed.
   * `releasing`: the card is proved and on file, the dollar still has to go back.
   */
  state: z.enum(['created', 'saved', 'releasing']),
  paymentId: z.optional(z.string()),
  /** There is a bundle that may be waiting for another card to renew itself with. */
  renews: z.optional(z.literal(true)),
  createdAtMs: z.number(),
})

/**
 * A card verification from its first call until the dollar is released: `created → saved → releasing → gone`, or
 * gone from any state when the card is declined or the verification given up. The PaymentIntent is the unit, and
 * cancelling it the fence: nothing is given up before no hold can come of it.
 */
export type Hold = z.infer<typeof holdSchema>

export const parseHold = (item: Item): Hold => z.parse(holdSchema, item)

export function newHold(
  deps: Deps,
  account: Account,
  input: { purpose: Hold['purpose']; cardId: string; customerId: string; address?: Profile['address'] },
): { hold: Hold; item: Item } {
  const createdAtMs = deps.clock.nowMs()
  const id = deps.ids.hex(12)
  const hold: Hold = {
    id,
    accountId: account.id,
    asked: input.cardId,
    ...input,
    address: input.address,
    state: 'created',
    renews: account.bundle === undefined ? undefined : true,
    createdAtMs,
  }
  const due = dueAt('HOLD', account.id, createdAtMs + LEASE_MS)
  return { hold, item: { ...keys.hold(account.id, id), ...hold, ...due } }
}

/** The literal parameters of a hold's payment: a retry sends the same. */
export const holdPayment = ({ id, accountId, asked, customerId }: Hold): NewPayment => ({
  purpose: 'hold',
  amountCents: HOLD_CENTS,
  customerId,
  paymentMethodId: asked,
  metadata: { account: accountId, purchase: `hold_${id}` },
  idempotencyKey: `hold_${id}`,
})

/** The hold that a payment was made for, by its metadata; undefined for other payments. */
export function holdOf(payment: Payment): { accountId: string; holdId: string } | undefined {
  const { account = '', purchase = '' } = payment.metadata
  const holdId = /^hold_([0-9a-f]{24})$/.exec(purchase)?.[1]
  return holdId && /^[0-9a-f]{24}$/.test(account) ? { accountId: account, holdId } : undefined
}

/** Whether a payment is the one that the hold asked for, in every detail that money depends on. */
export const isPaymentOfHold = (payment: Payment, hold: Hold, livemode: boolean): boolean =>
  payment.amountCents === HOLD_CENTS &&
  payment.currency === 'usd' &&
  payment.customerId === hold.customerId &&
  payment.metadata.account === hold.accountId &&
  payment.metadata.purchase === `hold_${hold.id}` &&
  payment.livemode === livemode &&
  (hold.paymentId === undefined || hold.paymentId === payment.id)
