/**
 * `npm run simulate -- --accounts 10000000 --days 30`: plays a month of so many accounts with the units that tests have
 * counted, and prints what it costs, its peaks beside the limits of AWS and Stripe, and what gives where one is met.
 *
 * | option     |                                                                               |
 * | ---------- | ----------------------------------------------------------------------------- |
 * | --accounts | accounts at the beginning of the month; several, with commas between          |
 * | --days     | days of the month, 30 by default                                              |
 * | --seed     | the same seed gives the same month                                            |
 * | --region   | whose prices: us-east-1 or eu-west-1                                          |
 * | --set      | changes a setting or an assumption: `--set paced=false --set viral.use=5`     |
 * | --plot     | a file for the curves of the largest month, as SVG                            |
 * | --page     | writes the tables of functions/deploy/growth.md, a month of each of its sizes |
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { progressOn } from '../support/progress.ts'
import { assumptions } from './assumptions.ts'
import { billOf } from './bill.ts'
import { namesIn, overridden } from './overrides.ts'
import { growthBlocks, replaceBlocks, SIZES } from './page.ts'
import { playEased } from './play.ts'
import { drawSvg } from './plot.ts'
import { prices, type Region, sources } from './prices.ts'
import { chartsOf, costTable, curves, metList, peakTable, volumeTable } from './report.ts'
import { deployed } from './settings.ts'

const PAGE = join(import.meta.dirname, '../../functions/deploy/growth.md')

const { values } = parseArgs({
  options: {
    accounts: { type: 'string', default: '10000000' },
    days: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    region: { type: 'string', default: 'us-east-1' },
    plot: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    page: { type: 'boolean', default: false },
  },
})

function stop(sentence: string): never {
  console.error(sentence)
  process.exit(1)
}

function whole(name: string, text: string, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most)
    stop(`--${name} must be a whole number from 1 to ${most.toLocaleString('en')}, not ${text}.`)
  return value
}

const sizes = values.page
  ? SIZES
  : values.accounts.split(',').map((text) => whole('accounts', text, 100_000_000))
const days = values.page ? 30 : whole('days', values.days, 31)
const seed = values.page ? 1 : whole('seed', values.seed, 2 ** 31)
const isRegion = (name: string): name is Region => name in prices
const region = isRegion(values.region)
  ? values.region
  : stop(`--region must be one of ${Object.keys(prices).join(', ')}.`)

/** What `--set` changes of these. */
const changesOf = (all: object) =>
  (values.page ? [] : values.set)
    .map((text) => text.split('=', 2) as [string, string])
    .filter(([name]) => namesIn(all).includes(name))

const known = [...namesIn(deployed), ...namesIn(assumptions)]
for (const [name = ''] of values.set.map((text) => text.split('=', 1)))
  if (!known.includes(name)) stop(`--set ${name}: there is ${known.join(', ')}.`)

function change<T extends object>(all: T): T {
  try {
    return overridden(all, changesOf(all))
  } catch (error) {
    return stop(`--set ${(error as Error).message}`)
  }
}
const [settings, about] = [change(deployed), change(assumptions)]

const progress = progressOn()
const played = sizes.map((accounts) => {
  const tell = (round: string) => (day: number) =>
    progress(`${accounts.toLocaleString('en')} accounts, ${round}: day ${day + 1} of ${days}`)
  return playEased({ accounts, days, seed }, tell, settings, about)
})
progress('')

const bills = played.map(({ before: { month } }) => ({
  accounts: month.scale.accounts,
  bill: billOf(month, prices[region]),
}))
console.log(`${days} days, ${region}, prices as known in ${sources.asOf}, seed ${seed}\n`)
console.log(`${volumeTable(played.map(({ before }) => before.month))}\n`)
console.log(`${costTable(bills)}\n\nStripe's fees come on top.`)
for (const { before, after, met } of played) {
  const { scale, refused, left } = before.month
  console.log(`\n${scale.accounts.toLocaleString('en')} accounts\n`)
  console.log(`${peakTable(before, after)}\n`)
  console.log(curves(before))
  const counts = Object.entries(refused).filter(([, count]) => count > 0)
  if (counts.length > 0)
    console.log(
      `\nRefused: ${counts.map(([name, count]) => `${count.toLocaleString('en')} ${name}`).join(', ')}`,
    )
  console.log(`Work that waits at the end: ${left.toLocaleString('en')}`)
  if (met.length > 0) console.log(`\nLimits that are met, and what gives:\n${metList(met)}`)
  if (after) console.log(`\nEased:\n${curves(after)}`)
}

const largest = played.at(-1)
if (values.plot !== undefined && largest) {
  const title = `A month of ${(sizes.at(-1) ?? 0).toLocaleString('en')} accounts`
  writeFileSync(values.plot, drawSvg(title, chartsOf(largest.before)))
  console.log(`\nThe curves are in ${values.plot}.`)
}
if (values.page) {
  writeFileSync(PAGE, replaceBlocks(readFileSync(PAGE, 'utf8'), growthBlocks(played)))
  console.log(`\nWritten into ${PAGE}.`)
}
