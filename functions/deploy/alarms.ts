import type { Alarm, CountedLines, Metric } from './alarm.ts'
import { attackAlarms, attackLines } from './attack.ts'
import { businessLines } from './business.ts'
import {
  type Deployed,
  functions,
  globalName,
  leavesDeadLetters,
  logGroupOf,
  pascal,
  scheduled,
  started,
  subscribed,
  webhookRoutes,
} from './functions.ts'

/** Matches a log line that a person must see, such as a ledger that does not add up. Lambda puts our lines into `message`. */
export const ALARM_LINE = '{ $.message.level = "alarm" }'
/** Matches the line of a run that left work undone: any count whose name ends in `failed`, however deep it lies. */
export const FAILED_LINE = '%ailed.{2,3}[1-9]%'
/** Matches the line of a run of `send-mail` that found mails which had waited for too long. */
export const OVERDUE_LINE = '{ $.message.overdue > 0 }'
/** Matches the line of a run of `send-mail` whose oldest mail or request had waited for five minutes. */
export const LATE_LINE = '{ $.message.late > 0 }'
/** Matches the line of a run of `send-mail` that had no time for all mails and requests. */
export const LEFT_LINE = '{ $.message.left > 0 }'

/** Matches the line of the gateway about a request whose function Lambda refused to run. The gateway writes a text. */
export const THROTTLED_LINE = '{ $.functionStatus = "429" }'

const payingJobs = [...scheduled, ...started].filter(({ needs }) => needs.includes('payments'))
const mailJobs = scheduled.filter(({ needs }) => needs.includes('mail'))
const eventJobs = scheduled.filter(({ needs }) => needs.includes('events'))
const hookJobs = scheduled.filter(({ needs }) => needs.includes('hooks'))

const ofWebhooks = `(${webhookRoutes.map((key) => `($.routeKey = "${key}")`).join(' || ')})`

/** To count another kind of line, such as one of level `warn`, add an entry here and an alarm below. */
export const countedLines: readonly CountedLines[] = [
  ...functions.map(({ name }) => ({
    name: `${pascal(name)}AlarmLines`,
    // All other lines of level alarm are about payments.
    metric: hookJobs.some((job) => job.name === name)
      ? ('EndpointsDisabled' as const)
      : ('AlarmLines' as const),
    pattern: ALARM_LINE,
    log: { function: name },
  })),
  ...payingJobs.map(({ name }) => ({
    name: `${pascal(name)}Failed`,
    metric: 'PaymentWorkFailed' as const,
    pattern: FAILED_LINE,
    log: { function: name },
  })),
  ...mailJobs.flatMap(({ name }) => [
    {
      name: `${pascal(name)}Failed`,
      metric: 'MailFailed' as const,
      pattern: FAILED_LINE,
      log: { function: name },
    },
    {
      name: `${pascal(name)}Overdue`,
      metric: 'MailOverdue' as const,
      pattern: OVERDUE_LINE,
      log: { function: name },
    },
    { name: `${pascal(name)}Late`, metric: 'MailLate' as const, pattern: LATE_LINE, log: { function: name } },
    { name: `${pascal(name)}Left`, metric: 'MailLeft' as const, pattern: LEFT_LINE, log: { function: name } },
  ]),
  ...eventJobs.map(({ name }) => ({
    name: `${pascal(name)}Failed`,
    metric: 'EventsFailed' as const,
    pattern: FAILED_LINE,
    log: { function: name },
  })),
  {
    name: 'WebhookFailures',
    metric: 'WebhookFailures',
    pattern: `{ ${ofWebhooks} && (($.status >= 500) || ($.status = 429)) }`,
    log: 'access',
  },
  {
    name: 'WebhookRefusals',
    metric: 'WebhookRefusals',
    pattern: `{ ${ofWebhooks} && ($.status = 400) }`,
    log: 'access',
  },
  {
    name: 'FunctionThrottles',
    metric: 'FunctionThrottles',
    pattern: THROTTLED_LINE,
    log: 'access',
  },
  ...attackLines,
  ...businessLines,
]

const once = { threshold: 1, periodSeconds: 300, periods: 1 }
const sum = (of: Metric['of'], ...names: Metric['names']): Metric => ({ of, names, statistic: 'Sum' })

/** Every alarm of a stage. @param prefix begins the names of the stage's resources. */
export function alarmsOf(prefix: string, region: string): Alarm[] {
  const dashboard = globalName(prefix, region)
  return [
    ...ofTheApi(prefix, dashboard),
    ...functions.flatMap((fn) => throttlesOf(prefix, fn)),
    ...[...scheduled, ...subscribed, ...started].map((fn) => errorsOf(prefix, fn)),
    ...scheduled.map((job) => absenceOf(prefix, job)),
    ...ofStoredWork(prefix, dashboard),
    ...ofMoney(prefix),
    ...ofMail(prefix),
    ...ofEvents(prefix),
    ...attackAlarms(prefix, dashboard),
  ]
}

function ofTheApi(prefix: string, dashboard: string): Alarm[] {
  return [
    {
      ...once,
      name: 'ApiErrors',
      sentence: `The API answered at least 5 requests with a 5xx status in 5 minutes: customers saw errors. The API's access log, whose log group begins with /aws/vendedlogs/apis/, names the route of each. Then open the log group of that route's function, /aws/lambda/${prefix}-<function>. The dashboard ${dashboard} shows when it began.`,
      metric: sum('api', '5xx'),
      threshold: 5,
    },
    {
      name: 'SlowAnswers',
      sentence: `For 15 minutes one answer in a hundred took the API more than 5 seconds. Run the saved query ${prefix}/operation/Slowest routes. One slow route: open the log group of its function. All of them: DynamoDB or the account's concurrency is short, and TableThrottles or Throttles goes off too. Routes of cards alone: see status.stripe.com.`,
      metric: { of: 'api', names: ['Latency'], statistic: 'p99' },
      threshold: 5_000,
      periodSeconds: 300,
      periods: 3,
    },
    {
      ...once,
      name: 'Throttles',
      sentence: `Lambda refused to run functions of this stage for at least 5 requests in 5 minutes, which were answered with an error. Run the saved query ${prefix}/operation/Errors by route: it names the routes. In the dashboard ${dashboard}, "Concurrency by function" shows which functions ran then. If the account's whole quota "Concurrent executions" is in use, raise it under Service Quotas; another program of this AWS account may use it.`,
      metric: sum('logLines', 'FunctionThrottles'),
      threshold: 5,
    },
    {
      ...once,
      name: 'VaultThrottles',
      sentence: `Cognito refused at least 5 sign-ins or new users in 5 minutes because they came too fast for the quota of this AWS account and region. Customers who have signed in go first; strangers are answered 429. Run the saved query ${prefix}/attack/Refusals by source. If it is ordinary traffic, raise "UserAuthentication" and "UserCreation" under Service Quotas, Amazon Cognito user pools.`,
      metric: sum('userPool', 'SignInThrottles', 'SignUpThrottles', 'TokenRefreshThrottles'),
      threshold: 5,
    },
  ]
}

/**
 * The alarm of a function that the gateway does not call, or that has reserved concurrency. Lambda counts refused runs of
 * the others in the answers of the gateway.
 */
function throttlesOf(prefix: string, { name, kind, reserved }: Deployed): Alarm[] {
  if (reserved === undefined && kind === 'endpoint') return []
  if (reserved === undefined)
    return [
      {
        ...once,
        name: `${pascal(name)}Throttles`,
        sentence: `Lambda refused to run ${name}, because the account has no concurrency left. ${LATE[kind as keyof typeof LATE]} If the account's whole quota "Concurrent executions" is in use, raise it under Service Quotas. Then open the log group ${logGroupOf(prefix, name)}.`,
        metric: sum({ function: name }, 'Throttles'),
      },
    ]
  const meaning =
    kind === 'endpoint'
      ? 'Callers get errors. Stripe retries a refused event for three days, so payments and cards are settled late. In Stripe, Developers, Webhooks shows the failed deliveries.'
      : kind === 'task'
        ? 'Renewals wait for their turn and come late, so customers may run out of units. jobs-check-quotas renews too, so none is lost.'
        : 'A run takes longer than the time between two runs, so work is late, but none is lost.'
  return [
    {
      ...once,
      name: `${pascal(name)}Throttles`,
      sentence: `${name} hit its reserved concurrency of ${reserved} again and again for 15 minutes. ${meaning} Open the log group ${logGroupOf(prefix, name)}: each line says how long the work took.`,
      metric: sum({ function: name }, 'Throttles'),
      periods: 3,
    },
  ]
}

/** What it means that a function without reserved concurrency does not run. */
const LATE = {
  authorizer: 'Signed-in customers are answered 500.',
  trigger: 'Sign-ins fail.',
  subscriber: 'Events are late; EventBridge sends them again for a day.',
}

/** The minutes of `rate(10 minutes)`. */
const minutesOf = (every: string): number =>
  Number(/\d+/.exec(every)) * (every.includes('hour') ? 60 : every.includes('day') ? 1_440 : 1)

/** A job that does not run at all fails nowhere, so no other alarm sees it. */
function absenceOf(prefix: string, { name, every }: (typeof scheduled)[number]): Alarm {
  const minutes = Math.max(15, 3 * minutesOf(every))
  return {
    name: `${pascal(name)}Absent`,
    sentence: `${name} has not run for ${minutes} minutes, though its schedule is ${every}. Its work waits, and none is lost. Open EventBridge, Scheduler, and see that its schedule is enabled and has a target; if runs are refused, the alarm for its throttles goes off too. The log group ${logGroupOf(prefix, name)} shows the last run.`,
    metric: sum({ function: name }, 'Invocations'),
    threshold: 1,
    absence: true,
    periodSeconds: Math.min(minutes, 60) * 60,
    periods: Math.ceil(minutes / 60),
  }
}

function errorsOf(prefix: string, fn: Deployed): Alarm {
  const { name } = fn
  const next = leavesDeadLetters(fn)
    ? `AWS retries twice; after that the work waits in the queue ${prefix}-dead-letters.`
    : 'The next run does what was left, so a single failure does no harm.'
  return {
    ...once,
    name: `${pascal(name)}Errors`,
    sentence: `${name} failed or timed out. ${next} Open the log group ${logGroupOf(prefix, name)}: a line of level error says what failed. After a time-out there is only Lambda's own line, which says so.`,
    metric: sum({ function: name }, 'Errors'),
  }
}

function ofStoredWork(prefix: string, dashboard: string): Alarm[] {
  return [
    {
      ...once,
      name: 'TableThrottles',
      sentence: `DynamoDB refused reads or writes of the table ${prefix} or its indexes because they came too fast. Functions retry them; a request that still fails is answered 503. Open the dashboard ${dashboard}: "Table: units used" shows whether traffic rose faster than the table scales, which passes within minutes. If it did not, a single account, or one partition of an index, is at the limit of 1,000 writes a second.`,
      metric: sum('table', 'ReadThrottleEvents', 'WriteThrottleEvents'),
    },
    {
      ...once,
      name: 'DeadLetters',
      sentence: `An event, or a renewal that was to start at once, failed at every attempt, and AWS does not retry it again. jobs-check-quotas renews all the same; an event stays unprocessed unless its sender repeats it. Open the queue ${prefix}-dead-letters in SQS within 14 days: each message names its function or rule. Then open the log group /aws/lambda/${prefix}-<function>.`,
      metric: { ...sum('deadLetters', 'ApproximateNumberOfMessagesVisible'), statistic: 'Maximum' },
    },
  ]
}

function ofMoney(prefix: string): Alarm[] {
  const paying = payingJobs.map(({ name }) => logGroupOf(prefix, name)).join(', ')
  return [
    {
      ...once,
      name: 'LedgerMismatch',
      sentence: `Money or units do not add up: a function wrote a line of level alarm, which names the payment, or the event of Stripe, and says what to do. Bursar does not correct it by itself, and repeats the line of a payment once a day until it agrees. Search the log group ${logGroupOf(prefix, 'jobs-sweep')} for "alarm", then those of the other functions, and compare the payment in Stripe, Payments, with the account's ledger.`,
      metric: sum('logLines', 'AlarmLines'),
    },
    {
      ...once,
      name: 'WebhookFailures',
      sentence: `At least 3 events of Stripe were answered 5xx or 429 in 5 minutes. Stripe retries each for three days, and jobs-sweep processes the rest, so payments and cards are settled late. Open the log group ${logGroupOf(prefix, 'webhooks-stripe')} and, in Stripe, the failed deliveries under Developers, Webhooks.`,
      metric: sum('logLines', 'WebhookFailures'),
      threshold: 3,
    },
    {
      ...once,
      name: 'WebhookRefusals',
      sentence: `At least 3 events were refused with 400 within an hour: the signing secret is wrong, or the endpoint in Stripe is of the other mode or account. Until this is mended, payments and cards are settled late, by jobs. Compare the secret in Stripe, Developers, Webhooks, with StripeWebhookSecrets, set it and deploy again. If Stripe shows no failed delivery, somebody else sends requests to the endpoint, which is harmless.`,
      metric: sum('logLines', 'WebhookRefusals'),
      periodSeconds: 3_600,
      threshold: 3,
    },
    {
      ...once,
      name: 'RenewalsFailing',
      sentence: `At least 3 runs within 15 minutes left renewals or payments undone. The next runs retry them; until a run succeeds, customers may run out of units. Search the log groups ${paying} for "failed", and see on status.stripe.com whether Stripe has an outage.`,
      metric: sum('logLines', 'PaymentWorkFailed'),
      periodSeconds: 900,
      threshold: 3,
    },
  ]
}

function ofEvents(prefix: string): Alarm[] {
  const sending = eventJobs.map(({ name }) => logGroupOf(prefix, name)).join(', ')
  const delivering = hookJobs.map(({ name }) => logGroupOf(prefix, name)).join(', ')
  return [
    {
      ...once,
      name: 'EndpointDisabled',
      sentence: `Nothing has arrived at an endpoint for events for three days, so Bursar has disabled it and holds its events. No money is affected. Search the log group ${delivering} for "alarm": the line names the endpoint. npm run ops -- endpoint deliveries <id> --stage <stage> shows what it answered. Once it is repaired, run npm run ops -- endpoint enable <id> --stage <stage> --reason <why> and then npm run ops -- endpoint replay <id> --stage <stage> --since <when it began to fail> --reason <why>: events are kept for 30 days.`,
      metric: sum('logLines', 'EndpointsDisabled'),
    },
    {
      ...once,
      name: 'EventsFailing',
      sentence: `At least 3 runs within 15 minutes could not put events on the bus: other systems learn of changes late, but miss none. The next runs retry each event until EventBridge takes it, quota alerts for a week; owners are told by notice and mail all the same. Search the log groups ${sending} for "failed": the lines before say why EventBridge refused.`,
      metric: sum('logLines', 'EventsFailed'),
      periodSeconds: 900,
      threshold: 3,
    },
  ]
}

/** SES reviews an account at 5 % bounces or 0.1 % complaints, and stops its mail at 10 % or 0.5 %. */
const BOUNCE_RATE = 0.03
const COMPLAINT_RATE = 0.0008

function ofMail(prefix: string): Alarm[] {
  const sending = mailJobs.map(({ name }) => logGroupOf(prefix, name)).join(', ')
  const marking = logGroupOf(prefix, 'jobs-note-mail-event')
  const rate = (name: string): Metric => ({ of: 'mail', names: [name], statistic: 'Maximum' })
  return [
    {
      ...once,
      name: 'MailFailing',
      sentence: `At least 3 runs within 15 minutes could not send mails: customers wait for codes and news. The next runs retry them, each mail for as long as its code works, and news for a week. Search the log group ${sending} for "failed": the lines before say why SES refused. If it says SendingPausedException, SES has stopped the account's mail: open SES, Account dashboard.`,
      metric: sum('logLines', 'MailFailed'),
      periodSeconds: 900,
      threshold: 3,
    },
    {
      ...once,
      name: 'MailOverdue',
      sentence: `A mail has waited for more than 15 minutes. Either SES refuses it again and again, or there are more mails than SES lets the account send in a second. Search the log group ${sending} for "overdue" and for the errors before, and raise the sending rate under SES, Account dashboard, if it is in use.`,
      metric: sum('logLines', 'MailOverdue'),
      periodSeconds: 900,
    },
    {
      ...once,
      name: 'MailLate',
      sentence: `A mail, or a request for one, had waited for more than 5 minutes when jobs-send-mail came to it: customers wait for their codes. Usually somebody requests mails in bulk for addresses of many customers, or SES lets the account send too few mails a second. The lines of the log group ${sending} say how long the oldest had waited ("oldestSeconds") and how many are left. If requests come in bulk, see "An attack" in functions/deploy/README.md; else raise the sending rate under SES, Account dashboard.`,
      metric: sum('logLines', 'MailLate'),
    },
    {
      ...once,
      name: 'MailLeft',
      sentence: `At least 3 runs within 15 minutes had no time for all mails and requests for mails. The next runs go on, and networks take turns, so customers still get theirs, later. The lines of the log group ${sending} say how many are "left" and how old the oldest is ("oldestSeconds"). If requests come in bulk, see "An attack" in functions/deploy/README.md; else raise the sending rate under SES, Account dashboard.`,
      metric: sum('logLines', 'MailLeft'),
      periodSeconds: 900,
      threshold: 3,
    },
    {
      name: 'BounceRate',
      sentence: `More than 3 % of the account's mails bounce. SES reviews an account at 5 % and stops its mail at 10 %. Bursar sends no more mail to an address that bounced, so somebody may be registering addresses that do not exist, or another sender of this AWS account causes it. Open SES, Reputation metrics, and search the log group ${marking} for "bounced".`,
      metric: rate('Reputation.BounceRate'),
      threshold: BOUNCE_RATE,
      periodSeconds: 3_600,
      periods: 1,
    },
    {
      name: 'ComplaintRate',
      sentence: `More than 0.08 % of the account's mails are reported as spam. SES reviews an account at 0.1 % and stops its mail at 0.5 %. Bursar sends no more mail to an address that complained. Open SES, Reputation metrics, and search the log group ${marking} for "spam"; somebody may be registering addresses of strangers.`,
      metric: rate('Reputation.ComplaintRate'),
      threshold: COMPLAINT_RATE,
      periodSeconds: 3_600,
      periods: 1,
    },
  ]
}
