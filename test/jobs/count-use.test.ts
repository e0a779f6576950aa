import { beforeEach, expect, test } from 'vitest'
import { readTop } from '../../core/reports/months.ts'
import { readTotals } from '../../core/reports/totals.ts'
import { startApp } from '../support/app.ts'
import { consume, newConsumer } from '../support/quota.ts'

const app = await startApp()
const ports = await app.ports()
beforeEach(app.startAfresh)

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const today = () => Math.floor(ports.clock.nowMs() / DAY_MS)

const used = async (from: number) =>
  (await readTotals(ports, from, from + 3)).map(({ unitsUsed }) => unitsUsed)

test('units are counted on the day on which they were used, an hour after it has ended, once', async () => {
  const first = today()
  const person = await newConsumer(app, 1000)
  const spend = (units: number) => consume(app, person.key, { units })
  await spend(30)
  await app.job('publish-events')
  app.advance(12 * HOUR_MS)
  expect(await app.job('count-use')).toEqual({ done: 0, failed: 0 })
  app.advance(12 * HOUR_MS)
  await spend(5)
  await app.job('count-use')
  expect(await used(first)).toEqual([30, 0, 0, 0])
  app.advance(DAY_MS)
  await Promise.all([app.job('count-use'), app.job('count-use')])
  await app.job('count-use')
  expect(await used(first)).toEqual([30, 5, 0, 0])
})

test('the use of an account that is used again days later is on its own days, and in its month', async () => {
  const first = today()
  const person = await newConsumer(app, 1000)
  await app.job('publish-events')
  app.advance(2 * DAY_MS)
  await consume(app, person.key, { units: 7 })
  app.advance(2 * DAY_MS)
  await consume(app, person.key, { units: 11 })
  app.advance(2 * DAY_MS)
  await app.job('count-use')
  expect(await used(first)).toEqual([0, 0, 7, 0])
  expect(await used(first + 4)).toEqual([11, 0, 0, 0])
  expect(await readTop(ports, '2026-11', 'used', 5)).toMatchObject([
    { accountId: person.accountId, value: 18 },
  ])
})
