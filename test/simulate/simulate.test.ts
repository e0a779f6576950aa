import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { alarmsOf } from '../../functions/deploy/alarms.ts'
import { billOf, totalOfBill } from './bill.ts'
import { partOfDay, weightOfDay } from './hours.ts'
import { playMonth } from './month.ts'
import { namesIn, overridden } from './overrides.ts'
import { blockOf, replaceBlocks } from './page.ts'
import { drawSvg, sparkline } from './plot.ts'
import { cohortsOf } from './population.ts'
import { prices } from './prices.ts'
import { openQueue } from './queue.ts'
import { poisson, randomOf } from './random.ts'
import { table } from './report.ts'

const scale = { accounts: 50_000, days: 3, seed: 4711 }

test('a seed gives the same month each time, and another seed another one', () => {
  const month = playMonth(scale)
  expect(playMonth(scale)).toEqual(month)
  expect(playMonth({ ...scale, seed: 4712 }).tally).not.toEqual(month.tally)
})

test('what all accounts use is what was asked for, whatever their number', () => {
  for (const accounts of [1, 9, 10, 11, 1_000, 2_000_000]) {
    const cohorts = cohortsOf(accounts, 1_000_000, 1)
    const of = (value: (cohort: (typeof cohorts)[number]) => number) =>
      cohorts.reduce((sum, cohort) => sum + value(cohort), 0)
    expect(of(({ size }) => size)).toBe(accounts)
    expect(of(({ size, unitsPerMonth }) => size * unitsPerMonth)).toBeCloseTo(1_000_000)
    expect(cohorts.map(({ unitsPerMonth }) => unitsPerMonth)).toEqual(
      cohorts.map(({ unitsPerMonth }) => unitsPerMonth).toSorted((a, b) => b - a),
    )
  }
})

test('the minutes of a day and the days of a week have all of the use', () => {
  const minutes = Array.from({ length: 1440 }, (_, minute) => partOfDay(minute))
  expect(minutes.reduce((a, b) => a + b, 0)).toBeCloseTo(1)
  expect([0, 1, 2, 3, 4, 5, 6].reduce((sum, day) => sum + weightOfDay(day), 0)).toBeCloseTo(7)
})

test.each([0.2, 3, 40, 500])('random counts have the mean %d', (mean) => {
  const random = randomOf(1)
  let sum = 0
  for (let n = 0; n < 20_000; n++) sum += poisson(random, mean)
  expect(Math.abs(sum / 20_000 / mean - 1)).toBeLessThan(0.03)
})

test('a queue does what is due, oldest first, and knows how long the oldest has waited', () => {
  const queue = openQueue()
  queue.add(0, 'sendMail', 5)
  queue.add(1, 'answerReset', 2)
  queue.add(100, 'sendMail', 1)
  expect(queue.serve(2, 1_000, 3)).toEqual({ sendMail: 3 })
  expect([queue.waited(7), queue.size()]).toEqual([7, 5])
  expect(queue.serve(8, 1_000)).toEqual({ sendMail: 2, answerReset: 2 })
  expect([queue.waited(9), queue.size()]).toEqual([0, 1])
  expect(queue.serve(100, 0)).toEqual({})
})

test('a month costs more in Ireland, and mostly by what it uses', () => {
  const month = playMonth(scale)
  const [here, there] = [billOf(month, prices['us-east-1']), billOf(month, prices['eu-west-1'])]
  expect(totalOfBill(there)).toBeGreaterThan(totalOfBill(here))
  expect(there.Cognito).toBe(here.Cognito)
  const twice = billOf(playMonth({ ...scale, accounts: 100_000 }), prices['us-east-1'])
  expect((twice['DynamoDB writes'] ?? 0) / (here['DynamoDB writes'] ?? 1)).toBeCloseTo(2, 1)
})

test('what stands still is billed as it is deployed: three keys, alarms by their metrics, and metrics beyond the free ones', () => {
  const nothing = { kmsKey: 0, kmsCalls: 0, alarm: 0, metric: 0 }
  const month = playMonth(scale)
  const billed = (some: object) =>
    billOf(month, { ...prices['us-east-1'], ...nothing, ...some })['Keys, alarms and metrics'] ?? 0
  const config = readFileSync(join(import.meta.dirname, '..', '..', 'sst.config.ts'), 'utf8')
  expect(billed({ kmsKey: 1 })).toBe(config.match(/\bkey\('\w+Key', /g)?.length)
  const sums = { VaultThrottles: 3, TableThrottles: 6 }
  const alarms = alarmsOf('x', 'x').map(({ name }) => sums[name as keyof typeof sums] ?? 1)
  expect(billed({ alarm: 1 })).toBe(alarms.reduce((a, b) => a + b))
  expect(billed({ metric: 1, freeMetrics: 0 }) - billed({ metric: 1, freeMetrics: 10 })).toBe(10)
})

test('curves have their highest bar where the value is highest, on a terminal and in a file', () => {
  expect(sparkline([0, 1, 2, 4, 8, 4, 0])).toBe('▁▂▃▅█▅▁')
  expect([...sparkline([1, 9, 3, 2], 2)]).toEqual(['█', '▃'])
  expect(sparkline([0, 0])).toBe('▁▁')
  const svg = drawSvg('A & B', [{ title: 'calls <1>', unit: 'a second', values: [1, 2, 3], limit: 4 }])
  expect(svg).toMatch(
    /^<svg [\s\S]*A &amp; B[\s\S]*calls &lt;1&gt;: at most 3 a second, limit 4[\s\S]*<\/svg>\n$/,
  )
})

test('a table is Markdown, with numbers to the right', () => {
  expect(
    table(
      ['of', '$'],
      [
        ['a', '1'],
        ['bcd', '1,234'],
      ],
    ),
  ).toBe(['| of  |     $ |', '| --- | ----: |', '| a   |     1 |', '| bcd | 1,234 |'].join('\n'))
})

test('only the marked parts of a page are replaced', () => {
  const page = 'a\n<!-- simulate cost -->\nold\n<!-- /simulate -->\nb\n'
  const changed = replaceBlocks(page, { cost: 'new $1', other: 'x' })
  expect(changed).toBe('a\n<!-- simulate cost -->\nnew $1\n<!-- /simulate -->\nb\n')
  expect(blockOf(changed, 'cost')).toBe('new $1')
})

test('settings and assumptions change by name', () => {
  const all = { paced: true, viral: { day: 16, use: 2 } }
  const changes = [
    ['paced', 'false'],
    ['viral.use', '5'],
  ] as const
  expect(overridden(all, changes)).toEqual({ paced: false, viral: { day: 16, use: 5 } })
  expect(all).toEqual({ paced: true, viral: { day: 16, use: 2 } })
  expect(namesIn(all)).toEqual(['paced', 'viral.day', 'viral.use'])
  expect(() => overridden(all, [['viral.day', 'x']])).toThrow('viral.day must be a number from 0 on, not x.')
})
