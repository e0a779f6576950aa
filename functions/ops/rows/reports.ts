import * as z from 'zod/mini'
import { markdown } from '../../http/markdown.ts'
import { optionalField } from '../../http/optional-field.ts'
import { pageLimit } from '../../http/page-query.ts'
import {
  accountLines,
  accountPage,
  standing,
  timelinePage,
  topPage,
  totalsPage,
} from '../../http/report-schemas.ts'
import type { OperatorRows } from '../../http/route.ts'
import { calendarDay } from '../../http/time-schema.ts'

const isWholeKey = (text: string): boolean =>
  /^bsr_[0-9a-f]{64}_/.test(text) || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)

/** A key in a URL would be in logs. */
const noWholeKey = z.refine<string>((text) => !isWholeKey(text), {
  error: 'send only the first 8 and the last 4 characters of a key',
})

const accountId = z.string().check(z.regex(/^[0-9a-f]{24}$/))
const flag = z.enum(['true', 'false'])

export const reports = {
  find: {
    routes: ['GET /ops/read/find'],
    summary: 'Finds an account by whatever a customer names, and shows everything that helps to help them',
    description: markdown(
      '`query` is an e-mail address, a username, an account id, a customer (`cus_…`) or a payment (`pi_…`) of Stripe, the id of',
      'an invoice, or the first 8 and the last 4 characters of an application key, such as `3f2a91bc...77d0`. Keys and',
      'invoices that were made before Bursar had this list are found once they are made anew.',
      '',
      'It costs one look-up and one Query of the account, and no call to Stripe. Of an account with more than 1,000 items',
      'the newest of each kind are read (`complete` is false), and `ledgerCheck` compares numbers instead of sums. Each',
      'section has at most 20 entries; the timeline has all. No secret is in the answer.',
      '',
      '- `alike`: further accounts whose keys begin and end in the same way.',
      '- `openWork`: everything that a job will look at, and since when or until when it waits.',
      '- `mails.sent`: what became of the mails of the last 90 days. `sent` means that the mail service took it; whether',
      'mail arrives is in `delivery`.',
    ),
    auth: 'operator',
    role: 'read',
    query: z.strictObject({
      query: z.string().check(z.trim(), z.minLength(1), z.maxLength(320), noWholeKey),
    }),
    responses: { 200: accountPage },
    errors: ['not_found'],
    needs: ['table', 'listing'],
  },
  listAccounts: {
    routes: ['GET /ops/read/accounts'],
    summary: 'Lists accounts by their standing, bundle, payments, debts, units left or undeliverable mail',
    description: markdown(
      'The newest accounts first, 25 a page; `next` is the `cursor` of the next page, and null on the last one. All filters',
      'that are given have to be true. `from` and `to` are the days (UTC) of the registration, both included. Without',
      '`standing`, erased accounts are left out. `low`: less than a tenth of the bundle is left. `owed`: the account owes',
      'units or money.',
      '',
      'An index names the accounts, and each is read, so a page shows what is true now. At most 100 accounts are looked at',
      'for one page, so that it costs the same however many accounts there are: with several filters a page may have less',
      'than 25, or no lines although `next` is set.',
    ),
    auth: 'operator',
    role: 'read',
    query: z.strictObject({
      standing: optionalField(standing),
      bundle: optionalField(z.string().check(z.maxLength(50))),
      paid: optionalField(flag),
      low: optionalField(z.literal('true')),
      owed: optionalField(z.literal('true')),
      undeliverable: optionalField(z.literal('true')),
      from: optionalField(calendarDay()),
      to: optionalField(calendarDay()),
      cursor: z.optional(accountId),
    }),
    responses: { 200: accountLines },
    errors: [],
    needs: ['table', 'listing'],
  },
  timeline: {
    routes: ['GET /ops/read/accounts/{id}/timeline'],
    summary: 'Shows what happened to an account, in one order: actions, payments, units, mails, cards',
    description: markdown(
      'The newest first, about 50 a page; `next` is the `cursor` of the next page, and null on the last one. It is put',
      'together from the audit log, the ledger, purchases, mails, notices, days of use and cards, with one Query each.',
      'Today’s use is not in it yet. An id that no account has gives an empty timeline.',
    ),
    auth: 'operator',
    role: 'read',
    path: z.object({ id: accountId }),
    query: z.strictObject({ cursor: z.optional(z.string().check(z.maxLength(2000))) }),
    responses: { 200: timelinePage },
    errors: ['invalid_request'],
    needs: ['table'],
  },
  totals: {
    routes: ['GET /ops/read/totals'],
    summary: 'Shows by day what all accounts did: registrations, payments, units, refunds, disputes',
    description: markdown(
      'Days are those of UTC, `from` to `to`, both included and at most 400; without them the last 30. Each event is counted',
      'once, within minutes; the units used on a day an hour after it has ended. Money is by currency, in its minor unit:',
      '`revenueCents` is what was paid, `refundedCents` and `disputedCents` what went back.',
      '',
      '`paying`: accounts that paid for the first time. `unitsGiven`: trials, grants and imports. `unitsTaken`: taken back for',
      'refunds and disputes, or by an operator. What happened before these totals were kept is not in them.',
    ),
    auth: 'operator',
    role: 'read',
    query: z.strictObject({ from: optionalField(calendarDay()), to: optionalField(calendarDay()) }),
    responses: { 200: totalsPage },
    errors: [],
    needs: ['table'],
  },
  top: {
    routes: ['GET /ops/read/top'],
    summary: 'Lists the accounts that have used, paid or been refused most in a month',
    description: markdown(
      '`by` is `used` (units), `refused` (times that the account ran out of units) or `paid` (the deployment’s currency, in its',
      'minor unit). `month` is such as `2026-11`: this month without it. Months are kept for 400 days.',
    ),
    auth: 'operator',
    role: 'read',
    query: z.strictObject({
      by: z.enum(['used', 'refused', 'paid']),
      month: optionalField(z.string().check(z.regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'must be such as 2026-11'))),
      limit: pageLimit,
    }),
    responses: { 200: topPage },
    errors: [],
    needs: ['table', 'listing'],
  },
} as const satisfies OperatorRows
