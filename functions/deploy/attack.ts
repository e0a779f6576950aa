import { gatewayKey } from '../http/route.ts'
import { rows } from '../http/rows.ts'
import type { Alarm, CountedLines } from './alarm.ts'
import { functions, pascal, webhookRoutes } from './functions.ts'

/**
 * What tells an operator of an attack, as data: counts and alarms of what an attacker causes in bulk, and the saved
 * queries by which to find out who it is. `functions/deploy/README.md` says what to do ("An attack").
 */

/** Something that is suspicious in bulk. */
interface Burst {
  /** PascalCase; the name of the metric and of the alarm. */
  name: 'Unauthorized' | 'PaymentRequired' | 'TooManyRequests' | 'Registrations' | 'CardDeclines'
  /** How many of it within the period raise the alarm. Raise it if ordinary traffic reaches it. */
  threshold: number
  periodSeconds: number
  /** What it means, and the saved query that comes next. */
  means: string
  query: keyof typeof questions
}

const FIVE_MINUTES = 300

const bursts: readonly Burst[] = [
  {
    name: 'Unauthorized',
    threshold: 1_000,
    periodSeconds: FIVE_MINUTES,
    means:
      'requests were answered 401. Somebody tries passwords, codes or keys, or a program of a customer repeats an expired token.',
    query: 'Refusals by source',
  },
  {
    name: 'PaymentRequired',
    threshold: 1_000,
    periodSeconds: FIVE_MINUTES,
    means:
      'requests were answered 402. Somebody tries cards, or programs of customers go on after their units have ended.',
    query: 'Refusals by route',
  },
  {
    name: 'TooManyRequests',
    threshold: 500,
    periodSeconds: FIVE_MINUTES,
    means:
      'requests were answered 429. The limits hold; if the throttle of a whole route refuses them, customers are refused, too.',
    query: 'Refusals by source',
  },
  {
    name: 'Registrations',
    threshold: 200,
    periodSeconds: 900,
    means:
      'accounts were made. Somebody may be making them in bulk, for free units or to fill mailboxes of strangers.',
    query: 'Registrations by source',
  },
  {
    name: 'CardDeclines',
    threshold: 30,
    periodSeconds: 900,
    means:
      'cards were declined. Somebody may be trying stolen cards, which banks and Stripe hold against your Stripe account.',
    query: 'Declined cards by account',
  },
]

/** The routes that make accounts. */
const registrations = rows.filter(({ file }) => file === 'register' || file === 'create-user')

/** Matches the line of a request whose card was declined: `"error":"card_declined"`. */
export const DECLINE_LINE = '%error.{3,5}card_declined%'

const isAnyOf = (keys: readonly string[]) => `(${keys.map((key) => `($.routeKey = "${key}")`).join(' || ')})`
const isNoWebhook = webhookRoutes.map((key) => `($.routeKey != "${key}")`).join(' && ')
const answered = (name: string, status: number): CountedLines => ({
  name,
  metric: name as Burst['name'],
  pattern: `{ ${isNoWebhook} && ($.status = ${status}) }`,
  log: 'access',
})

const endpoints = functions.filter(({ kind }) => kind === 'endpoint')
const takingCards = endpoints.filter(({ needs, table }) => needs.includes('payments') && table === 'write')

export const attackLines: readonly CountedLines[] = [
  answered('Unauthorized', 401),
  answered('PaymentRequired', 402),
  answered('TooManyRequests', 429),
  {
    name: 'Registrations',
    metric: 'Registrations',
    pattern: `{ ${isAnyOf(registrations.flatMap(({ routes }) => routes.map(gatewayKey)))} && ($.status < 300) }`,
    log: 'access',
  },
  ...takingCards.map(({ name }) => ({
    name: `${pascal(name)}Declines`,
    metric: 'CardDeclines' as const,
    pattern: DECLINE_LINE,
    log: { function: name },
  })),
]

export const attackAlarms = (prefix: string): Alarm[] =>
  bursts.map(({ name, threshold, periodSeconds, means, query }) => ({
    name,
    sentence: `At least ${threshold} ${means} Open CloudWatch, Logs Insights, and run the saved query ${prefix}/attack/${query}; the dashboard ${prefix} shows when it began. "An attack" in functions/deploy/README.md says what to do. If this is ordinary traffic of yours, raise the threshold in functions/deploy/attack.ts.`,
    metric: { of: 'logLines', names: [name], statistic: 'Sum' },
    threshold,
    periodSeconds,
    periods: 1,
  }))

/** Charts of the dashboard: titles with metrics. */
export const attackCharts: readonly [title: string, metrics: readonly string[]][] = [
  ['Answered 401, 402 and 429', ['Unauthorized', 'PaymentRequired', 'TooManyRequests']],
  ['Registrations and declined cards', ['Registrations', 'CardDeclines']],
]

// --- Saved queries ---

/** A query that is saved in CloudWatch Logs Insights. */
export interface SavedQuery {
  /** Unique; the part after the last slash is the question. */
  name: string
  /** The logs that it searches: that of the gateway, or those of functions. CloudWatch takes 50. */
  logs: 'access' | readonly string[]
  query: string
}

/**
 * Lambda embeds our line as text in JSON of its own, where each quote has a backslash; these expressions match both
 * forms.
 */
export const FIELDS = {
  source: String.raw`/source\W{3,5}(?<source>[0-9a-f]{12})/`,
  route: String.raw`/route\W{3,5}(?<route>[a-z0-9]+\/[a-z0-9-]+)/`,
  account: String.raw`/accountId\W{3,5}(?<account>[0-9a-f]{24})/`,
  error: String.raw`/error\W{3,5}(?<error>[a-z_]+)/`,
  oldest: String.raw`/oldestSeconds\W{2,3}(?<oldest>\d+)/`,
  left: String.raw`/left\W{2,3}(?<left>\d+)/`,
}
export const REFUSED = String.raw`/status\W{2,3}(401|402|403|429)/`
export const SUCCEEDED = String.raw`/status\W{2,3}2\d\d/`

const parsed = (...fields: (keyof typeof FIELDS)[]) =>
  fields.map((field) => `parse @message ${FIELDS[field]}`)
const topTen = (by: string, ...more: string[]) => [
  `stats count(*) as requests${more.map((each) => `, ${each}`).join('')} by ${by}`,
  'sort requests desc',
  'limit 10',
]
const lines = (...commands: string[]) => commands.join('\n| ')

/** Everybody can try passwords, codes, addresses or keys with these, so a source is all that tells senders apart. */
const open = rows.filter(
  ({ auth, dialect }) => (auth === 'public' || auth === 'key') && dialect !== 'webhooks',
)
const namesOf = (of: typeof rows) => of.map(({ dialect, file }) => `${dialect}-${file}`)

/** Requests for mails. */
const asking = open.filter(({ file }) =>
  ['request-password-reset', 'request-recovery', 'resend'].includes(file),
)

/** One query for each question, by its question. */
const questions = {
  'Refusals by source': {
    logs: namesOf(open),
    query: lines(
      `filter @message like ${REFUSED}`,
      ...parsed('source', 'route'),
      ...topTen('source', 'count_distinct(route) as routes', 'min(@timestamp) as since'),
    ),
  },
  'Refusals by route': {
    logs: 'access',
    query: lines(
      'filter status in [401, 402, 403, 429]',
      'stats count(*) as requests by routeKey, status',
      'sort requests desc',
      'limit 20',
    ),
  },
  'Errors by source': {
    logs: namesOf(open),
    query: lines(`filter @message like ${REFUSED}`, ...parsed('source', 'error'), ...topTen('source, error')),
  },
  'Registrations by source': {
    logs: namesOf(registrations),
    query: lines(`filter @message like ${SUCCEEDED}`, ...parsed('source'), ...topTen('source')),
  },
  'Requests for mails by source': {
    logs: namesOf(asking),
    query: lines(`filter @message like ${SUCCEEDED}`, ...parsed('source'), ...topTen('source')),
  },
  'Declined cards by account': {
    logs: takingCards.map(({ name }) => name),
    query: lines(
      'filter @message like /card_declined/',
      ...parsed('account', 'source'),
      ...topTen('account', 'count_distinct(source) as sources'),
    ),
  },
  'Mails that wait': {
    logs: ['jobs-send-mail'],
    query: lines(
      'filter @message like /oldestSeconds/',
      ...parsed('oldest', 'left'),
      'stats max(oldest) as oldestSeconds, max(left) as leftAtOnce by bin(5m)',
    ),
  },
} satisfies Record<string, Omit<SavedQuery, 'name'>>

export const queriesOf = (prefix: string): SavedQuery[] =>
  Object.entries(questions).map(([question, query]) => ({ name: `${prefix}/attack/${question}`, ...query }))
