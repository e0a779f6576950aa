import { type Bill, totalOfBill } from './bill.ts'
import { LIMITS, type Limit } from './limits.ts'
import type { Month } from './month.ts'
import { totalOf } from './operations.ts'
import type { Measure, Peak } from './peaks.ts'
import { type Chart, sparkline } from './plot.ts'
import type { Settings } from './settings.ts'

/** A month under some settings. */
export interface Played {
  month: Month
  settings: Settings
}

const number = (value: number): string => Math.round(value).toLocaleString('en')
const dollars = (value: number): string => (value < 10 ? value.toFixed(2) : number(value))
/** Three digits, as more would say more than is known. */
const rate = (value: number): string =>
  value >= 100 ? Number(value.toPrecision(3)).toLocaleString('en') : String(Number(value.toPrecision(2)))

/** When a peak came: `day 17, 14:05`. */
export function when({ minute }: Peak): string {
  const ofDay = minute % 1440
  const two = (value: number) => String(value).padStart(2, '0')
  return `day ${Math.floor(minute / 1440) + 1}, ${two(Math.floor(ofDay / 60))}:${two(ofDay % 60)}`
}

/** A table as the terminal shows it and as Markdown has it: columns of numbers are aligned to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => (row[at] ?? '').length)))
  const isNumber = (at: number) => rows.every((row) => /^(?:\$?[\d,.]+|–|)$/.test(row[at] ?? ''))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (isNumber(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, at) => '-'.repeat(isNumber(at) ? width - 1 : width) + (isNumber(at) ? ':' : '')).join(' | ')} |`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

/** What each service costs a month, for each number of accounts. */
export function costTable(bills: readonly { accounts: number; bill: Bill }[]): string {
  const services = Object.keys(bills[0]?.bill ?? {})
  const head = ['$ a month', ...bills.map(({ accounts }) => `${number(accounts)} accounts`)]
  const rows = services.map((service) => [service, ...bills.map(({ bill }) => dollars(bill[service] ?? 0))])
  const total = ['in all', ...bills.map(({ bill }) => dollars(totalOfBill(bill)))]
  return table(head, [...rows, total])
}

/** What happens in the month. */
export function volumeTable(months: readonly Month[]): string {
  const rows: [string, (month: Month) => number][] = [
    ['units used by requests', ({ tally }) => tally.consume + tally.batch * 20],
    ['requests', ({ tally }) => totalOf(tally).requests],
    ['write units', ({ tally }) => totalOf(tally).writeUnits],
    ['new accounts', ({ tally }) => tally.register],
    ['users active at Cognito', ({ activeUsers }) => activeUsers],
    ['first purchases', ({ tally }) => tally.buyFirst],
    ['renewals', ({ tally }) => tally.renew],
    ['refunds and disputes', ({ tally }) => tally.webhooksOfRefund + tally.webhooksOfDispute],
    ['mails', ({ tally }) => totalOf(tally).mail?.SendEmail ?? 0],
  ]
  const head = ['in a month', ...months.map(({ scale }) => `${number(scale.accounts)} accounts`)]
  return table(
    head,
    rows.map(([name, of]) => [name, ...months.map((month) => number(of(month)))]),
  )
}

const peakOf = ({ month, settings }: Played, { measure, most }: Limit) => {
  const peak = month.peaks[measure]
  const value = peak?.value ?? 0
  return { peak, value, text: rate(value) + (value > most(settings) ? ' !' : '') }
}

/** The peaks beside their limits; with what gives, if the deployment meets any. */
export function peakTable(before: Played, after: Played | undefined): string {
  const rows = LIMITS.map((limit) => {
    const { peak, text } = peakOf(before, limit)
    const { unit, name, most } = limit
    const place = peak && peak.value > 0 ? `${when(peak)}, ${peak.place}` : ''
    const eased = after ? [peakOf(after, limit).text, rate(limit.most(after.settings))] : []
    return [name, unit, text, rate(most(before.settings)), place, ...eased]
  })
  const head = ['peak of', 'unit', 'as deployed', 'limit', 'when (UTC) and where']
  return table([...head, ...(after ? ['eased', 'its limit'] : [])], rows)
}

/** The limits that were met, and what gives. */
export const metList = (met: readonly Limit[]): string =>
  met.map(({ name, gives }) => `- ${name}: ${gives}`).join('\n')

const CURVES: readonly [Measure | 'writes', string, string][] = [
  ['requests', 'requests', 'a second'],
  ['writes', 'write units', 'a second'],
  ['account', 'busiest account', 'write units/s'],
  ['due', 'busiest shard of due work', 'write units/s'],
  ['creations', 'new users at Cognito', 'a second'],
  ['stripe', 'calls to Stripe', 'a second'],
  ['renewalWait', 'wait for a renewal', 'minutes'],
  ['mailWait', 'wait for a mail', 'minutes'],
  ['useWait', 'wait for the totals of a day', 'minutes'],
]

export const chartsOf = ({ month, settings }: Played): Chart[] =>
  CURVES.map(([measure, title, unit]) => ({
    ...{ title, unit, values: month.hours[measure] ?? [] },
    limit: LIMITS.find((limit) => limit.measure === measure)?.most(settings),
  }))

/** The month as curves of a line each. */
export const curves = (played: Played): string =>
  chartsOf(played)
    .map(({ title, unit, values }) => {
      const highest = Math.max(...values, 0)
      return `${title.padEnd(28)} ${sparkline(values)} ${rate(highest)} ${unit}`
    })
    .join('\n')
