import * as z from 'zod/mini'
import { reasonText as reason } from '../../../core/operators/reason.ts'
import { markdown } from '../../http/markdown.ts'
import type { OperatorRows } from '../../http/route.ts'

const named = z
  .string()
  .check(
    z.maxLength(300, { abort: true }),
    z.regex(/^[\w-]{1,150}(\/[\w-]{1,150})?$/, 'must be a fingerprint, an account and its card, or a digest'),
  )

const namedCard = z.strictObject({ reason, card: named })

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
  '`card` is the fingerprint that the Stripe Dashboard shows, an account and its card such as `6560c21b7fe9123a5d4a0001/pm_1`, or the `digest` of a list.'

const domain = z.object({ domain: z.string(), rule: z.enum(['block', 'allow']), at: z.iso.datetime() })

/** Cards with which nothing can be bought, and domains of mail that nobody registers with, whichever account tries. */
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
  listMailDomains: {
    routes: ['GET /ops/read/mail-domains'],
    summary: 'Lists the domains of mail that operators block or allow, by name',
    description:
      'Without a rule, an address of a disposable domain is refused, and any other is taken. `next` is the `cursor` of the next page, or null.',
    auth: 'operator',
    role: 'read',
    query: z.object({
      cursor: z.optional(z.string().check(z.regex(/^[a-z0-9.-]{1,253}$/, 'must be a cursor'))),
    }),
    responses: { 200: z.object({ domains: z.array(domain), next: z.nullable(z.string()) }) },
    errors: [],
    needs: ['table'],
  },
  ruleMailDomain: {
    routes: ['POST /ops/admin/mail-domains'],
    summary: 'Blocks or allows new addresses of a domain of mail, and of those below it',
    description: markdown(
      'With `rule` `block` nobody registers with an address of the domain or changes to one, with `allow` also one of a',
      'disposable domain is taken, and with `none` the list of disposable domains decides again. The nearest domain with a rule',
      'counts. Accounts that have such an address keep working.',
    ),
    auth: 'operator',
    role: 'admin',
    body: z.strictObject({
      reason,
      domain: z.string().check(z.minLength(1), z.maxLength(253)),
      rule: z.enum(['block', 'allow', 'none']),
    }),
    responses: { 200: z.object({ domain: z.string(), rule: z.enum(['block', 'allow', 'none']) }) },
    errors: ['conflict'],
    needs: ['table'],
  },
} as const satisfies OperatorRows
