import { gatewayKey } from '../http/route.ts'
import type { Alarm, CountedLines } from './alarm.ts'
import { pascal, webhookRoutes } from './functions.ts'
import { type AttackQuestion, registrations, takingCards } from './queries.ts'

/**
 * What tells an operator of an attack, as data: counts and alarms of what an attacker causes in bulk.
 * `functions/deploy/README.md` says what to do ("An attack").
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
  query: AttackQuestion
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

/** Matches the line of a request whose card was declined. */
export const DECLINE_LINE = '{ $.message.error = "card_declined" }'

const isAnyOf = (keys: readonly string[]) => `(${keys.map((key) => `($.routeKey = "${key}")`).join(' || ')})`
const isNoWebhook = webhookRoutes.map((key) => `($.routeKey != "${key}")`).join(' && ')
const answered = (name: string, status: number): CountedLines => ({
  name,
  metric: name as Burst['name'],
  pattern: `{ ${isNoWebhook} && ($.status = ${status}) }`,
  log: 'access',
})

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

export const attackAlarms = (prefix: string, dashboard: string): Alarm[] =>
  bursts.map(({ name, threshold, periodSeconds, means, query }) => ({
    name,
    sentence: `At least ${threshold} ${means} Open CloudWatch, Logs Insights, and run the saved query ${prefix}/attack/${query}; the dashboard ${dashboard} shows when it began. "An attack" in functions/deploy/README.md says what to do. If this is ordinary traffic of yours, raise the threshold in functions/deploy/attack.ts.`,
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
