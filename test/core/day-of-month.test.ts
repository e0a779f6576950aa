import { expect, test } from 'vitest'
import { nextDayOfMonthMs } from '../../core/time.ts'

const next = (from: string, day: number) =>
  new Date(nextDayOfMonthMs(Date.parse(from), day)).toISOString().slice(0, 16)

test.each([
  ['later in the month', '2026-11-05T10:00Z', 21, '2026-11-21T00:00'],
  ['in the next month, on the day itself', '2026-11-21T00:00Z', 21, '2026-12-21T00:00'],
  ['in the next year', '2026-12-31T23:59Z', 31, '2027-01-31T00:00'],
  ['on the last day of a month that has no such day', '2027-01-31T00:00Z', 31, '2027-02-28T00:00'],
  ['on the day again after a month that had none', '2027-02-28T00:00Z', 31, '2027-03-31T00:00'],
  ['on February 29 of a leap year', '2028-02-01T00:00Z', 30, '2028-02-29T00:00'],
  ['on the first day of the next month', '2026-11-01T00:00Z', 1, '2026-12-01T00:00'],
])('the next day of a month is %s', (_, from, day, expected) => {
  expect(next(from, day)).toBe(expected)
})
