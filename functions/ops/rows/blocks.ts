import * as z from 'zod/mini'
import { reasonText as reason } from '../../../core/operators/reason.ts'
import { markdown } from '../../http/markdown.ts'
import { optionalField } from '../../http/optional-field.ts'
import type { OperatorRows } from '../../http/route.ts'

const token = z.string().check(z.regex(/^[\w-]{1,255}$/, 'must be letters, digits, _ and -'))

const namedCard = z.strictObject({
  reason,
  digest: optionalField(token),
  fingerprint: optionalField(token),
  account: optionalField(token),
  card: optionalField(token),
})

const card = z.object({
  digest: z.string(),
  blockedAt: z.nullable(z.iso.datetime()),
  byOperator: z.boolean(),
  reports: z.array(
    z.object({ charge: z.string(), account: z.string(), reason: z.string(), at: z.iso.datetime() }),
  ),
  owing: z.array(z.string()),
})

const NAMED =
  'Name the card by `fingerprint`, as the Stripe Dashboard shows it, by `account` and `card` (`pm_…`), or by the `digest` of a list.'

/** Cards with which nothing can be bought, whichever account tries. */
export const blocks = {
  listBlockedCards: {
    routes: ['GET /ops/read/blocked-cards'],
    summary: 'Lists the cards with which no account can buy, the newest first',
    description: markdown(
      'A card is blocked by `reports` of fraud, from any account, or by an operator. `owing` has the accounts that owe for a',
      'refund or a dispute of a payment with it, or have owed and paid. `next` is the `cursor` of the next page, or null.',
    ),
    auth: 'operator',
    role: 'read',
    query: z.object({ cursor: z.optional(z.string().check(z.regex(/^[\w-]{1,80}$/, 'must be a cursor'))) }),
    responses: { 200: z.object({ cards: z.array(card), next: z.nullable(z.string()) }) },
    errors: [],
    needs: ['table', 'listing'],
  },
  blockCard: {
    routes: ['POST /ops/admin/blocked-cards'],
    summary: 'Blocks a card for every account until you unblock it',
    description: markdown(
      `${NAMED} A card that you have blocked stays as it is. Nothing more is charged to it, renewals of accounts that have it`,
      'pause, and nobody proves it. Its customers are told that we cannot accept the card.',
    ),
    auth: 'operator',
    role: 'admin',
    body: namedCard,
    responses: { 200: card },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  unblockCard: {
    routes: ['POST /ops/admin/blocked-cards/unblock'],
    summary: 'Lets every account buy with a card again',
    description: markdown(
      `${NAMED} Reports of fraud are withdrawn for good, in the accounts that they came from as well, and debts of other accounts`,
      'no longer keep anybody from buying with the card. Those accounts still owe. A card that is not blocked stays as it is.',
    ),
    auth: 'operator',
    role: 'admin',
    body: namedCard,
    responses: { 200: card },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'payments'],
  },
} as const satisfies OperatorRows
