/** An alarm as data. `sst.config.ts` creates it in CloudWatch, which mails it to the operator. */
export interface Alarm {
  /** PascalCase and unique; the alarm's name on AWS ends in it. */
  name: string
  /** What happened, what it means and where to look. CloudWatch takes 1,024 characters. */
  sentence: string
  metric: Metric
  /** The alarm goes off at this value or above; with `absence`, below it. */
  threshold: number
  /** For what must happen all the time: the alarm goes off if it does not, or if nothing is counted at all. */
  absence?: true
  periodSeconds: number
  /** How many consecutive periods must reach the threshold. */
  periods: number
}

/** A metric of CloudWatch. The values of several names are added up, and those of the table and its indexes. */
export interface Metric {
  /** `mail`: all mail of the AWS account in this region, by whose rates SES judges the account. */
  of: 'api' | 'table' | 'userPool' | 'deadLetters' | 'logLines' | 'mail' | { function: string }
  names: readonly [string, ...string[]]
  statistic: 'Sum' | 'Maximum' | 'p99'
}

/** Log lines that CloudWatch counts, under a metric of the stage. */
export interface CountedLines {
  /** PascalCase and unique. */
  name: string
  metric:
    | 'AlarmLines'
    | 'EndpointsDisabled'
    | 'PaymentWorkFailed'
    | 'MailFailed'
    | 'MailOverdue'
    | 'MailLate'
    | 'MailLeft'
    | 'EventsFailed'
    | 'WebhookFailures'
    | 'WebhookRefusals'
    | 'Unauthorized'
    | 'PaymentRequired'
    | 'TooManyRequests'
    | 'Registrations'
    | 'CardDeclines'
    | 'FunctionThrottles'
    | Business
  /** A filter pattern of CloudWatch Logs. */
  pattern: string
  log: 'access' | { function: string }
  /** The member of the line whose value is added up; by default each line counts as 1. */
  value?: `$.message.${string}`
}

/** What the business does. */
export type Business =
  | 'SignUps'
  | 'Confirmed'
  | 'Purchases'
  | 'UnitsSold'
  | 'UnitsUsed'
  | 'Refunds'
  | 'Disputes'
  | 'Renewals'
  | 'RenewalsWaiting'
  | 'MailsBounced'
