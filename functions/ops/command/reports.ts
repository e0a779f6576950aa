import { ops } from '../routes.ts'
import { type Answer, type Commands, command } from './command.ts'
import { facts, table, timeText } from './text.ts'

const time = (at: string | null): string | undefined => (at === null ? undefined : timeText(at))

export const reportCommands = {
  find: command(ops.find, {
    summary:
      'finds an account by mail, name, id, cus_, pi_, invoice or the ends of a key, and shows all about it',
    takes: ['query'],
    show: (page) => pageText(page),
  }),
  list: command(ops.listAccounts, {
    summary: 'lists accounts, the newest first, 25 at a time',
    flags: {
      standing: 'active, unconfirmed, pending, suspended, deactivated, closing or erased',
      bundle: 'only those with this bundle',
      paid: 'true or false: whether they have ever bought something',
      low: 'true: only those with less than a tenth of their bundle left',
      owed: 'true: only those that owe units or money',
      undeliverable: 'true: only those whose mail does not arrive',
      from: 'registered on this day or later, such as 2026-11-01',
      to: 'registered on this day or before',
      cursor: 'the next page, as the page before says',
    },
    show: ({ accounts, next }) =>
      [
        table(
          ['ID', 'NAME', 'MAIL', 'STANDING', 'BUNDLE', 'LEFT', 'BALANCE', 'SINCE (UTC)'],
          accounts.map((each) => [
            ...[each.id, each.username, each.email + (each.undeliverable ? ' (!)' : ''), each.standing],
            ...[each.bundle ?? '-', `${each.left}${each.low ? ' (low)' : ''}`],
            ...[`${each.balance} ${each.currency}${each.owed ? ' (owes)' : ''}`, timeText(each.createdAt)],
          ]),
        ),
        ...(next === null ? [] : [`Further accounts: --cursor ${next}`]),
      ].join('\n'),
  }),
  totals: command(ops.totals, {
    summary: 'shows by day what all accounts did, with a bar for the revenue',
    flags: {
      from: 'the first day, such as 2026-11-01: 30 days ago without it',
      to: 'the last day: today without it',
    },
    show: ({ days }) => totalsText(days),
  }),
  top: command(ops.top, {
    summary: 'lists the accounts that have used, paid or been refused most in a month',
    takes: ['by'],
    flags: { month: 'such as 2026-11: this month without it', limit: 'how many: 25 without it' },
    show: ({ by, currency, accounts }) =>
      table(
        ['ID', 'NAME', `${by.toUpperCase()}${currency === null ? '' : ` (${currency}, minor unit)`}`],
        accounts.map(({ id, username, value }) => [id, username, String(value)]),
      ),
  }),
  timeline: command(ops.timeline, {
    summary: 'shows what happened to an account in one order, the newest first',
    takes: ['id'],
    flags: { cursor: 'the next page, as the page before says' },
    show: ({ happenings, next }) =>
      [
        table(
          ['TIME (UTC)', 'KIND', 'WHAT', 'BY'],
          happenings.map(({ at, kind, text, by }) => [timeText(at), kind, text, by ?? '']),
        ),
        ...(next === null ? [] : [`What was before: --cursor ${next}`]),
      ].join('\n'),
  }),
} satisfies Commands

type Day = Answer<typeof ops.totals>['days'][number]

/** Characters of the longest bar. */
const BAR = 20

function totalsText(days: readonly Day[]): string {
  const paid = ({ revenueCents }: Day) => Object.values(revenueCents).reduce((sum, cents) => sum + cents, 0)
  const most = Math.max(1, ...days.map(paid))
  const money = (by: Record<string, number>) =>
    Object.entries(by)
      .map(([currency, cents]) => `${cents} ${currency}`)
      .join(', ')
  return table(
    ['DAY', 'NEW', 'CONFIRMED', 'PAYING', 'SOLD', 'USED', 'REFUNDS', 'DISPUTES', 'REVENUE', ''],
    days.map((day) => [
      ...[day.day, String(day.accounts), String(day.confirmed), String(day.paying)],
      ...[String(day.unitsSold), String(day.unitsUsed), String(day.refunds), String(day.disputes)],
      ...[money(day.revenueCents), '█'.repeat(Math.round((paid(day) / most) * BAR))],
    ]),
  )
}

type Page = Answer<typeof ops.find>

function pageText(page: Page): string {
  const { account, access, units, money, renewal, ledgerCheck, delivery } = page
  const sections = [
    facts({
      account: account.id,
      name: account.name === null ? account.username : `${account.username} (${account.name})`,
      mail: `${account.email}${account.emailVerified ? '' : ' (unconfirmed)'}${delivery.reason ? ` (${delivery.reason})` : ''}`,
      'mail to be': account.pendingEmail ?? undefined,
      standing: account.standing,
      since: timeText(account.createdAt),
      'last sign-in': time(account.lastLoginAt),
      'erased at': time(account.eraseAt),
      'signs in with':
        [access.twofa && '2FA', access.passkeys.length > 0 && `${access.passkeys.length} passkeys`]
          .filter((each) => each !== false)
          .join(', ') || 'a password alone',
      'recovery from': time(access.recoveryFinishesAt),
      sessions: access.sessions
        .map(({ device, lastSeen }) => `${device ?? '?'} ${timeText(lastSeen)}`)
        .join(', '),
      keys: page.keys.count,
      units: `${units.left} left of ${units.bundle ?? 'the trial'}, ${units.used} used, ${units.reserved} reserved, ${units.owed} owed`,
      balance: `${money.balance} ${money.currency}`,
      renewal: `${renewal.state}: ${renewal.text}`,
      ledger: ledgerCheck === null ? undefined : ledgerText(ledgerCheck),
    }),
    ...section(
      'CARDS',
      page.cards.map((card) => [
        ...[card.brand, `...${card.last4}`, card.expires, card.default ? 'default' : ''],
        card.declined ? (card.reason ?? 'declined') : '',
      ]),
    ),
    ...section(
      'PURCHASES',
      page.purchases.map((each) => [
        ...[timeText(each.createdAt), each.id, each.kind, each.bundle, each.state],
        `${each.amount} ${each.currency}`,
        each.refunded > 0
          ? `${each.refunded} refunded`
          : each.disputed > 0
            ? `${each.disputed} disputed`
            : '',
      ]),
    ),
    ...section(
      'OPEN WORK',
      page.openWork.map(({ what, dueAt }) => [timeText(dueAt), what]),
    ),
    ...section('MAILS', [
      ...page.mails.queued.map(({ template, since }) => [timeText(since), template, 'queued']),
      ...page.mails.sent.map(({ at, template, event, outcome }) => [
        timeText(at),
        event ?? template,
        outcome,
      ]),
    ]),
    ...section(
      'NOTICES',
      page.notices.map(({ at, type, message }) => [timeText(at), type, message]),
    ),
    ...section(
      'AUDIT LOG',
      page.audit.map((each) => [timeText(each.at), each.action, each.name ?? each.by, each.reason ?? '']),
    ),
    ...(page.alike.length > 0 ? [`Other accounts with a key like that: ${page.alike.join(', ')}`] : []),
  ]
  return sections.join('\n\n')
}

const ledgerText = ({ right, by, waiting }: NonNullable<Page['ledgerCheck']>): string =>
  `${right ? 'right' : 'WRONG: run reconcile'}, by ${by}${waiting > 0 ? `; ${waiting} entries are not in the counter yet` : ''}`

const section = (title: string, rows: string[][]): string[] =>
  rows.length === 0
    ? []
    : [
        table(
          [title],
          rows.map((row) => [row.filter((cell) => cell !== '').join('  ')]),
        ),
      ]
