import * as z from 'zod/mini'
import { reasonText } from '../../../core/operators/reason.ts'
import { pathText } from '../../http/cut-text.ts'
import { markdown } from '../../http/markdown.ts'
import { optionalField } from '../../http/optional-field.ts'
import { idempotencyHeaders, replay } from '../../http/payment-schemas.ts'
import type { OperatorRows } from '../../http/route.ts'
import { time } from '../../http/time-schema.ts'

const path = z.object({ id: pathText })

/** The most units that one order moves: mistakes in the number of zeros end here. */
const units = z.int().check(z.minimum(1), z.maximum(1_000_000_000))

/** In the minor unit of the currency, such as cents. */
const cents = z.int().check(z.minimum(1), z.maximum(99_999_999))

const booked = z.object({
  entry: z.object({
    seq: z.int(),
    kind: z.enum(['grant', 'take', 'credit', 'debit']),
    units: z.int(),
    amountCents: z.int(),
    expiresAt: z.optional(z.iso.datetime()),
  }),
  left: z.int(),
  owedUnits: z.int(),
  balanceCents: z.int(),
  currency: z.string(),
  ...replay,
})

const BOOKED = markdown(
  '`entry` is the entry of the ledger; `left`, `owedUnits` and `balanceCents` say where the account stands now. A repeat with',
  'the same `Idempotency-Key` gets the entry of the first request and changes nothing: send one with every order, or a retry',
  'is another order.',
)

const finding = z.object({ about: z.string(), text: z.string() })

const report = {
  /** What was behind, and is right now. */
  mended: z.array(finding),
  /** What a person has to look at. */
  found: z.array(finding),
}

/** Units and money of an account: rows that give, take and give back, and that compare the books. */
export const money = {
  grant: {
    routes: ['POST /ops/support/accounts/{id}/grant'],
    summary: 'Gives an account units',
    description: markdown(
      'They can be spent at once. With `expiresAt`, those of them that are left expire when the day (UTC) begins that is then or',
      'next, at most 3,660 days from now; the entry says when. Without it they never expire. Units that the account owes are',
      'taken out of them. The owner is told by a notice, without the reason.',
      '',
      BOOKED,
    ),
    auth: 'operator',
    role: 'support',
    headers: idempotencyHeaders,
    path,
    body: z.strictObject({ units, expiresAt: optionalField(time()), reason: reasonText }),
    responses: { 200: booked },
    errors: ['not_found', 'conflict', 'idempotency_key_reused'],
    needs: ['table'],
  },
  take: {
    routes: ['POST /ops/support/accounts/{id}/take'],
    summary: 'Takes units from an account, at most those left',
    description: markdown(
      'More units than are left are refused with 409 and `left`, and nothing is taken. With `owe` those left are taken and the',
      'rest is owed: the next credit pays it, and no bundle renews until then. Reserved units are not left. If the balance falls',
      'below the threshold of auto-renewal, the bundle renews as after any use.',
      '',
      BOOKED,
    ),
    auth: 'operator',
    role: 'support',
    headers: idempotencyHeaders,
    path,
    body: z.strictObject({ units, owe: z.optional(z.boolean()), reason: reasonText }),
    responses: { 200: booked },
    errors: ['not_found', 'conflict', 'idempotency_key_reused', 'too_few_units'],
    needs: ['table'],
  },
  credit: {
    routes: ['POST /ops/support/accounts/{id}/credit'],
    summary: 'Puts money on the balance of an account',
    description: markdown(
      'A positive balance is what the company owes the customer, such as money that came by bank transfer. No purchase spends',
      'it, and it settles no units owed: grant units for it, or pay it out and debit it. `amountCents` is in the minor unit of',
      'the currency of the catalogue.',
      '',
      BOOKED,
    ),
    auth: 'operator',
    role: 'support',
    headers: idempotencyHeaders,
    path,
    body: z.strictObject({ amountCents: cents, reason: reasonText }),
    responses: { 200: booked },
    errors: ['not_found', 'conflict', 'idempotency_key_reused'],
    needs: ['table'],
  },
  debit: {
    routes: ['POST /ops/support/accounts/{id}/debit'],
    summary: 'Takes money off the balance, at most what operators have put on it',
    description: markdown(
      'A debit makes no debt: more than the credit that is left is refused with 409 and `creditCents`.',
      '',
      BOOKED,
    ),
    auth: 'operator',
    role: 'support',
    headers: idempotencyHeaders,
    path,
    body: z.strictObject({ amountCents: cents, reason: reasonText }),
    responses: { 200: booked },
    errors: ['not_found', 'conflict', 'idempotency_key_reused', 'too_little_credit'],
    needs: ['table'],
  },
  refund: {
    routes: ['POST /ops/support/accounts/{id}/purchases/{purchase}/refund'],
    summary: 'Refunds a purchase through Stripe, and takes its units back',
    description: markdown(
      '`what` is `all` (all that has not gone back yet), `units_left` (what the units left are worth at the price of the',
      'purchase, so that none is owed) or `amount`, with `amountCents`. Units go back pro rata, at most those left; the rest is',
      'owed.',
      '',
      '- 200: Stripe has made the refund, and the ledger has it.',
      '- 202: the outcome is not known yet. It settles itself; a repeat with the same `Idempotency-Key` says how it stands.',
      '- 409 `refund_refused`: Stripe refused it, and no money went back.',
      '- 409 `not_refundable`: the purchase was not paid, or less is left to refund.',
      '- 409 `refund_open`: another refund of the purchase is under way.',
      '',
      'A repeat with the same `Idempotency-Key` never refunds again; send one with every refund. It cannot be undone.',
    ),
    auth: 'operator',
    role: 'support',
    headers: idempotencyHeaders,
    path: z.object({ id: pathText, purchase: pathText }),
    body: z.strictObject({
      what: z.enum(['all', 'units_left', 'amount']),
      amountCents: optionalField(cents),
      reason: reasonText,
    }),
    responses: {
      200: z.object({ id: z.string(), amountCents: z.int(), currency: z.string(), ...replay }),
      202: z.object({ id: z.string(), status: z.literal('pending'), ...replay }),
    },
    errors: ['not_found', 'idempotency_key_reused', 'not_refundable', 'refund_open', 'refund_refused'],
    needs: ['table', 'payments', 'paymentScope'],
  },
  reconcileAccount: {
    routes: ['POST /ops/support/accounts/{id}/reconcile'],
    summary: 'Compares an account with its ledger, and its purchases with Stripe, now',
    description: markdown(
      'The ledger has no gap, its amounts sum to the balance and its units to those left, used and reserved; each purchase is',
      'booked once, and Stripe shows the same payment, refunds and disputes. What is behind is mended, as the jobs would do',
      'it; what is not right otherwise is in `found`. 25 purchases a request, the newest first: send `next` as `cursor` until',
      'it is null.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({
      reason: reasonText,
      cursor: z.optional(z.string().check(z.regex(/^[0-9a-f]{24}$/))),
    }),
    responses: {
      200: z.object({
        entries: z.int(),
        purchases: z.int(),
        payments: z.int(),
        ...report,
        next: z.nullable(z.string()),
      }),
    },
    errors: ['not_found'],
    needs: ['table', 'payments', 'paymentScope'],
  },
  reconcile: {
    routes: ['POST /ops/admin/reconcile'],
    summary: 'Compares the payments, refunds and disputes at Stripe with all ledgers, now',
    description: markdown(
      'What the sweep does every ten minutes: payments since the last comparison, those that were open or did not agree, and',
      'the refunds of 30 and disputes of 120 days. What is behind is mended. `found` has new alarms and those that stand.',
      '`isDone` is false if time ran out: the next request or sweep goes on from there.',
    ),
    auth: 'operator',
    role: 'admin',
    body: z.strictObject({ reason: reasonText }),
    responses: {
      200: z.object({
        payments: z.int(),
        recorded: z.int(),
        reversals: z.int(),
        failed: z.int(),
        found: z.array(finding),
        isDone: z.boolean(),
      }),
    },
    errors: [],
    needs: ['table', 'payments', 'paymentScope'],
  },
} as const satisfies OperatorRows
