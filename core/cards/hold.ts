// The hold machine (hold.ts, verify.ts and settle.ts here) and the purchase machine (begin.ts, advance.ts,
// settle.ts and credit.ts in core/purchases) have the same design and stay separate, because a proved hold is
// released and a paid purchase is credited.

import * as z from 'zod/mini'
import type { Account, Profile } from '../account/account.ts'
import type { Deps, NewPayment, Payment, PaymentScope } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { holdAmount } from '../purchases/currencies.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys, REQUEST_KEPT_MS, ttlAt } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import type { Item, Write } from '../table/table.ts'

const holdSchema = z.object({
  id: z.string(),
  accountId: z.string(),
  /** `change` also makes the card the default card and starts the 24 hours until the next change. */
  purpose: z.enum(['verify', 'change']),
  /**
   * The payment method as requested, or a ConfirmationToken. Stripe makes a new payment method at each use of a test
   * card's alias, and of a token when it is used.
   */
  asked: z.string(),
  /** The payment method that the payment uses; the token until the payment is confirmed with it. */
  cardId: z.string(),
  customerId: z.string(),
  /** What is held, in the minor unit of `currency` (ISO 4217): one dollar, as at EMCP. */
  amountCents: z._default(z.number(), () => holdAmount(CURRENCY)),
  currency: z._default(z.string(), () => CURRENCY),
  /** A billing address to store when the card is proved. */
  address: z.optional(z.custom<NonNullable<Profile['address']>>()),
  /**
   * `created`: the hold is stored, and nothing can be held yet. `saved`: the payment's id is stored, so the
   * payment may be confirmed. `releasing`: the card is proved and on file, and the hold must still be
   * released. `proved` and `declined`: the verification has ended; only a request with an Idempotency-Key
   * leaves its hold behind, so that its repetition gets the same answer.
   */
  state: z.enum(['created', 'saved', 'releasing', 'proved', 'declined']),
  /** A request with an Idempotency-Key began or joined the verification. */
  keyed: z.optional(z.literal(true)),
  /** Equal for equal card numbers. */
  cardFingerprint: z.optional(z.string()),
  paymentId: z.optional(z.string()),
  /** The account has a bundle, whose renewal may be waiting for another card. */
  renews: z.optional(z.literal(true)),
  /** The account has a trial, about which its first card decides. */
  trial: z.optional(z.literal(true)),
  createdAtMs: z.number(),
})

/**
 * A card verification from its first call until the hold is released: `created → saved → releasing`, then
 * removed, or kept for 48 hours if its request had an Idempotency-Key. It is removed earlier if the card is
 * declined or the verification is abandoned, after the
 * provider has confirmed that the PaymentIntent, if there is one, is canceled and can hold nothing any more.
 */
export type Hold = z.infer<typeof holdSchema>

export const parseHold = (item: Item): Hold => z.parse(holdSchema, item)

export function newHold(
  deps: Deps,
  account: Account,
  input: {
    purpose: Hold['purpose']
    cardId: string
    customerId: string
    address?: Profile['address']
    keyed?: true | undefined
  },
): { hold: Hold; item: Item } {
  const createdAtMs = deps.clock.nowMs()
  const id = deps.ids.hex(12)
  const hold: Hold = {
    id,
    accountId: account.id,
    asked: input.cardId,
    ...input,
    address: input.address,
    amountCents: holdAmount(CURRENCY),
    currency: CURRENCY,
    state: 'created',
    renews: account.bundle === undefined ? undefined : true,
    trial: account.trialUnits === undefined ? undefined : true,
    createdAtMs,
  }
  const due = dueAt('HOLD', account.id, createdAtMs + LEASE_MS)
  return { hold, item: { ...keys.hold(account.id, id), ...hold, ...due } }
}

export const hasEnded = ({ state }: Hold): boolean => state === 'proved' || state === 'declined'

/**
 * The last write of a verification: removes the hold, or keeps its answer for the repetition of a request with
 * an Idempotency-Key. Fails if such a request has joined the verification since the hold was read.
 */
export function endedHold(
  deps: Deps,
  { accountId, id, keyed }: Hold,
  answer: 'proved' | 'declined' | undefined,
): Write {
  const key = keys.hold(accountId, id)
  if (!keyed) return { remove: key, if: expr`attribute_not_exists(#keyed)` }
  if (!answer) return { remove: key }
  const { ttl } = ttlAt(deps.clock.nowMs() + REQUEST_KEPT_MS)
  return {
    update: key,
    set: expr`SET #state = ${answer}, #ttl = ${ttl} REMOVE #due, #dueAtMs`,
    if: expr`attribute_exists(pk)`,
  }
}

/** The literal parameters of a hold's payment. A retry sends the same parameters. */
export const holdPayment = (
  { id, accountId, asked, customerId, amountCents, currency }: Hold,
  { stage }: PaymentScope,
): NewPayment => ({
  purpose: 'hold',
  amountCents,
  currency: currency.toLowerCase(),
  customerId,
  paymentMethodId: asked,
  metadata: { account: accountId, purchase: `hold_${id}`, stage },
  description: 'Card verification: held and released, never charged',
  statementSuffix: 'CARD CHECK',
  idempotencyKey: `hold_${id}`,
})

/** The hold that a payment was made for, according to its metadata; undefined for other payments. */
export function holdOf(
  payment: Pick<Payment, 'metadata'>,
): { accountId: string; holdId: string } | undefined {
  const { account = '', purchase = '' } = payment.metadata
  const holdId = /^hold_([0-9a-f]{24})$/.exec(purchase)?.[1]
  return holdId && /^[0-9a-f]{24}$/.test(account) ? { accountId: account, holdId } : undefined
}

/**
 * Whether a payment matches its hold in every detail that concerns money. As with purchases, metadata counts
 * only as long as no payment id is stored.
 */
export const isPaymentOfHold = (payment: Payment, hold: Hold, { livemode, stage }: PaymentScope): boolean =>
  payment.amountCents === hold.amountCents &&
  payment.currency === hold.currency.toLowerCase() &&
  payment.customerId === hold.customerId &&
  payment.livemode === livemode &&
  (hold.paymentId === undefined
    ? payment.metadata.account === hold.accountId &&
      payment.metadata.purchase === `hold_${hold.id}` &&
      payment.metadata.stage === stage
    : hold.paymentId === payment.id)
