import { ops } from '../routes.ts'
import { type Answer, type Commands, command, type Input } from './command.ts'
import { facts, table, timeText } from './text.ts'

const REASON = 'why, for the audit log'

/** What was booked, and where the account stands. */
const bookedText = ({
  entry,
  left,
  owedUnits,
  balanceCents,
  currency,
  replayed,
}: Answer<typeof ops.grant>): string =>
  facts({
    done: `${entry.kind}, entry ${entry.seq} of the ledger${replayed ? ' (by an earlier copy of the request)' : ''}`,
    units: entry.units,
    'those left expire': entry.expiresAt === undefined ? undefined : `${timeText(entry.expiresAt)} UTC`,
    amount: entry.amountCents === 0 ? undefined : `${entry.amountCents} minor units of ${currency}`,
    left,
    owed: owedUnits === 0 ? undefined : owedUnits,
    balance: `${balanceCents} minor units of ${currency}`,
  })

type Found = Answer<typeof ops.reconcile>['found']

const foundText = (title: string, found: Found): string =>
  found.length === 0
    ? `Nothing is ${title}.`
    : table(
        [title.toUpperCase(), ''],
        found.map(({ about, text }) => [about, text]),
      )

const reportText = ({
  entries,
  purchases,
  payments,
  mended,
  found,
}: Answer<typeof ops.reconcileAccount>): string =>
  [facts({ entries, purchases, payments }), foundText('mended', mended), foundText('found', found)].join(
    '\n\n',
  )

/** How much of a purchase a refund gives back, as the question before it says. */
const PARTS: Readonly<Record<string, string>> = {
  all: 'All that has not gone back yet',
  units_left: 'What the units left are worth',
}
const partText = ({ what, amountCents }: Input): string => PARTS[String(what)] ?? `${amountCents} minor units`

export const moneyCommands = {
  grant: command(ops.grant, {
    summary: 'gives an account units',
    takes: ['id', 'units'],
    flags: { expiresAt: 'when those that are left expire, such as 2027-01-01T00:00:00Z', reason: REASON },
    asks: ({ id, units, expiresAt }) =>
      `${units} units are given to account ${id}${expiresAt === undefined ? '' : `; those that are left expire on ${expiresAt}`}.`,
    show: bookedText,
  }),
  take: command(ops.take, {
    summary: 'takes units from an account, at most those left',
    takes: ['id', 'units'],
    flags: { owe: 'what is not left is owed, and taken from the next credit', reason: REASON },
    asks: ({ id, units, owe }) =>
      `${units} units are taken from account ${id}${owe ? '; those that are not left are owed' : ''}. If few are left then, auto-renewal may charge its card.`,
    show: bookedText,
  }),
  credit: command(ops.credit, {
    summary: 'puts money on the balance of an account; no purchase spends it',
    takes: ['id', 'amountCents'],
    flags: { reason: REASON },
    asks: ({ id, amountCents }) => `${amountCents} minor units (cents) are credited to account ${id}.`,
    show: bookedText,
  }),
  debit: command(ops.debit, {
    summary: 'takes money off the balance, at most what was credited',
    takes: ['id', 'amountCents'],
    flags: { reason: REASON },
    asks: ({ id, amountCents }) => `${amountCents} minor units (cents) are taken off account ${id}.`,
    show: bookedText,
  }),
  refund: command(ops.refund, {
    summary: 'refunds a purchase through Stripe: all, units_left, or amount with --amount-cents',
    takes: ['id', 'purchase', 'what'],
    flags: { amountCents: 'how much, in cents, for amount', reason: REASON },
    asks: (input) =>
      `${partText(input)} of purchase ${input.purchase} of account ${input.id} goes back to the card, which cannot be undone, and its units are taken back.`,
    show: (answer, { id }) =>
      'status' in answer
        ? `The refund ${answer.id} is on its way; its outcome is not known yet, and settles itself. Later: npm run ops -- reconcile ${id}`
        : facts({
            refund: answer.id,
            amount: `${answer.amountCents} minor units of ${answer.currency}`,
            done: answer.replayed ? 'by an earlier copy of the request' : 'now',
          }),
  }),
  reconcile: command(ops.reconcileAccount, {
    summary: 'compares an account with its ledger, and its purchases with Stripe',
    takes: ['id'],
    flags: { reason: REASON },
    defaults: { reason: 'npm run ops -- reconcile' },
    show: reportText,
    async run({ call, json }, input) {
      const all: Answer<typeof ops.reconcileAccount> = {
        entries: 0,
        purchases: 0,
        payments: 0,
        mended: [],
        found: [],
        next: null,
      }
      do {
        const cursor = all.next === null ? {} : { cursor: all.next }
        const page = await call(ops.reconcileAccount, { ...input, ...cursor })
        all.entries = page.entries
        all.purchases += page.purchases
        all.payments += page.payments
        all.mended.push(...page.mended)
        // The ledger is compared with each page.
        for (const each of page.found)
          if (!all.found.some(({ about, text }) => about === each.about && text === each.text))
            all.found.push(each)
        all.next = page.next
      } while (all.next !== null)
      return json ? JSON.stringify(all, null, 2) : reportText(all)
    },
  }),
  'reconcile all': command(ops.reconcile, {
    summary: 'compares all payments, refunds and disputes at Stripe with the ledgers',
    flags: { reason: REASON },
    defaults: { reason: 'npm run ops -- reconcile all' },
    show: ({ found, isDone, ...counts }) =>
      [
        facts(counts),
        foundText('found', found),
        ...(isDone ? [] : ['Time ran out: run it again to go on.']),
      ].join('\n\n'),
  }),
} satisfies Commands
