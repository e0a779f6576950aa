import type { Business, CountedLines } from './alarm.ts'

/**
 * What the dashboard shows first: what the business does, as jobs write it into their lines. Sales are counted when their
 * event is published, within a minute, and use when its day has ended.
 */
const added = (metric: Business, job: string, member: string): CountedLines => ({
  name: metric,
  metric,
  pattern: `{ $.message.${member} > 0 }`,
  log: { function: job },
  value: `$.message.${member}`,
})

const SALES = 'jobs-publish-events'

export const businessLines: readonly CountedLines[] = [
  added('SignUps', SALES, 'added.accounts'),
  added('Confirmed', SALES, 'added.confirmed'),
  added('Purchases', SALES, 'added.purchases'),
  added('UnitsSold', SALES, 'added.unitsSold'),
  added('Refunds', SALES, 'added.refunds'),
  added('Disputes', SALES, 'added.disputes'),
  added('UnitsUsed', 'jobs-count-use', 'added.unitsUsed'),
  ...['jobs-check-quotas', 'jobs-renew'].flatMap((job) => [
    { ...added('Renewals', job, 'renewed'), name: `Renewals-${job}` },
    { ...added('RenewalsWaiting', job, 'tried'), name: `RenewalsWaiting-${job}` },
  ]),
  {
    name: 'MailsBounced',
    metric: 'MailsBounced',
    pattern: '{ $.message.mail = "marked" }',
    log: { function: 'jobs-note-mail-event' },
  },
]

/** Charts of the dashboard: titles with metrics. */
export const businessCharts: readonly [title: string, metrics: readonly string[]][] = [
  ['Sign-ups and confirmed addresses', ['SignUps', 'Confirmed']],
  ['Purchases, refunds, disputes and declined cards', ['Purchases', 'Refunds', 'Disputes', 'CardDeclines']],
  ['Units sold, and used on days that have ended', ['UnitsSold', 'UnitsUsed']],
  ['Renewals, and those that wait for a customer or a bank', ['Renewals', 'RenewalsWaiting']],
  ['Mails that bounced or were reported, failed and wait', ['MailsBounced', 'MailFailed', 'MailOverdue']],
]
