import {
  type Deployed,
  functions,
  logGroupOf,
  pascal,
  scheduled,
  subscribed,
  webhookRoutes,
} from './functions.ts'

/** The alarms as data. `sst.config.ts` creates each one, and SNS mails it to the operator. */
export interface Alarm {
  /** PascalCase and unique; the alarm's name on AWS ends in it. */
  name: string
  /** What happened, what it means and where to look. CloudWatch takes 1,024 characters. */
  sentence: string
  metric: Metric
  /** From this value on the alarm goes off. */
  threshold: number
  periodSeconds: number
  /** How many periods in a row have to reach the threshold. */
  periods: number
}

/** What CloudWatch counts. Several names are added up. */
export interface Metric {
  of: 'api' | 'allFunctions' | 'table' | 'deadLetters' | 'logLines' | { function: string }
  names: readonly [string, ...string[]]
  statistic: 'Sum' | 'Maximum'
}

/** Log lines that are counted, under a metric of the stage. */
export interface CountedLines {
  /** PascalCase and unique. */
  name: string
  metric: 'AlarmLines' | 'PaymentWorkFailed' | 'WebhookFailures'
  /** In the filter language of CloudWatch Logs. */
  pattern: string
  log: 'access' | { function: string }
}

/**
 * A log line that a person must see, such as a ledger that does not add up: `"level":"alarm"`. Lambda writes our line
 * as text within its own JSON, so that its quotes come with a backslash; the pattern matches both forms.
 */
export const ALARM_LINE = '%level.{3,5}alarm%'
/** A run that left something undone: `"failed":1` or more, `"eventsFailed":1` and the like. */
export const FAILED_LINE = '%ailed.{2,3}[1-9]%'

const payingJobs = scheduled.filter(({ needs }) => needs.includes('payments'))

/** Another kind of line, such as one of level `warn`, takes an entry here and an alarm below. */
export const countedLines: readonly CountedLines[] = [
  ...functions.map(({ name }) => ({
    name: `${pascal(name)}AlarmLines`,
    metric: 'AlarmLines' as const,
    pattern: ALARM_LINE,
    log: { function: name },
  })),
  ...payingJobs.map(({ name }) => ({
    name: `${pascal(name)}Failed`,
    metric: 'PaymentWorkFailed' as const,
    pattern: FAILED_LINE,
    log: { function: name },
  })),
  {
    name: 'WebhookFailures',
    metric: 'WebhookFailures',
    pattern: `{ (${webhookRoutes.map((key) => `($.routeKey = "${key}")`).join(' || ')}) && (($.status >= 500) || ($.status = 429)) }`,
    log: 'access',
  },
]

const once = { threshold: 1, periodSeconds: 300, periods: 1 }
const sum = (of: Metric['of'], ...names: Metric['names']): Metric => ({ of, names, statistic: 'Sum' })

/** Every alarm of a stage. `prefix` is the stage's, with which the names of its resources begin. */
export function alarmsOf(prefix: string): Alarm[] {
  return [
    ...ofTheApi(prefix),
    ...functions.flatMap((fn) => throttlesOf(prefix, fn)),
    ...[...scheduled, ...subscribed].map((fn) => errorsOf(prefix, fn)),
    ...ofStoredWork(prefix),
    ...ofMoney(prefix),
  ]
}

function ofTheApi(prefix: string): Alarm[] {
  return [
    {
      ...once,
      name: 'ApiErrors',
      sentence: `The API answered at least 5 requests with a 5xx status in 5 minutes: customers saw errors. The API's access log, whose log group begins with /aws/vendedlogs/apis/, names the route of each. Then open the log group of that route's function, /aws/lambda/${prefix}-<function>. The dashboard ${prefix} shows when it began.`,
      metric: sum('api', '5xx'),
      threshold: 5,
    },
    {
      ...once,
      name: 'Throttles',
      sentence: `Lambda refused to run a function of this account and region: the function used up its reserved concurrency, or the account has none left. Callers of the API get errors, and background work is late. Open the dashboard ${prefix}: "Throttles by function" names the function. If no function of Bursar is refused, another one of the account is. Raise the quota "Concurrent executions" of Lambda under Service Quotas if all of it is in use.`,
      metric: sum('allFunctions', 'Throttles'),
    },
  ]
}

/** An alarm for functions with a concurrency of their own. */
function throttlesOf(prefix: string, { name, kind, reserved }: Deployed): Alarm[] {
  if (reserved === undefined) return []
  const meaning =
    kind === 'endpoint'
      ? 'Callers are refused with errors. Stripe sends a refused event again for three days, so payments and cards are settled late. In Stripe, Developers, Webhooks shows the failed deliveries.'
      : 'A run takes longer than the time between two runs, so the work is late, and no work is lost.'
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

function errorsOf(prefix: string, { name }: Deployed): Alarm {
  return {
    ...once,
    name: `${pascal(name)}Errors`,
    sentence: `${name} failed or timed out. AWS tries again twice; after that the work waits in the queue ${prefix}-dead-letters. Open the log group ${logGroupOf(prefix, name)}: a line of level error says what failed, or Lambda's own line that the time ran out.`,
    metric: sum({ function: name }, 'Errors'),
  }
}

function ofStoredWork(prefix: string): Alarm[] {
  return [
    {
      ...once,
      name: 'TableThrottles',
      sentence: `DynamoDB refused reads or writes of the table ${prefix} because they came too fast. Functions retry them; a request that still fails is answered 503. Open the dashboard ${prefix}: "Table: units used" shows whether traffic rose faster than the table scales, which passes within minutes. If it did not, a single account is at the limit of its partition, 1,000 writes a second.`,
      metric: sum('table', 'ReadThrottleEvents', 'WriteThrottleEvents'),
    },
    {
      ...once,
      name: 'DeadLetters',
      sentence: `A run or an event failed every time it was tried, and AWS does not try again. The next run of a job catches up; an event does not come again unless its sender repeats it. Open the queue ${prefix}-dead-letters in SQS within 14 days: each message names the function or the rule that it was for. Then open the log group /aws/lambda/${prefix}-<function>.`,
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
      sentence: `Money or units do not add up: a function wrote a line of level alarm, which names the payment. Bursar does not correct it by itself. Search the log group ${logGroupOf(prefix, 'jobs-sweep')} for "alarm", then those of the other functions, and compare the payment in Stripe, Payments, with the account's ledger.`,
      metric: sum('logLines', 'AlarmLines'),
    },
    {
      ...once,
      name: 'WebhookFailures',
      sentence: `At least 3 events of Stripe were answered 5xx or 429 in 5 minutes. Stripe sends each again for three days, and jobs-sweep catches up with the rest, so payments and cards are settled late. Open the log group ${logGroupOf(prefix, 'webhooks-stripe')} and, in Stripe, the failed deliveries under Developers, Webhooks.`,
      metric: sum('logLines', 'WebhookFailures'),
      threshold: 3,
    },
    {
      ...once,
      name: 'RenewalsFailing',
      sentence: `At least 3 runs within 15 minutes left renewals or payments undone. The next runs try again; until they succeed, customers may run out of units. Search the log groups ${paying} for "failed", and see on status.stripe.com whether Stripe has an outage.`,
      metric: sum('logLines', 'PaymentWorkFailed'),
      periodSeconds: 900,
      threshold: 3,
    },
  ]
}
