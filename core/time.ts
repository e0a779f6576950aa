/** Durations in milliseconds. */
export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** For so long a request that was answered may be sent again: an hour, and some minutes for a client that waits it out. */
export const REPEAT_MS = HOUR_MS + 10 * MINUTE_MS

/**
 * The first beginning of this day of a month (UTC) after `atMs`, epoch ms. In a month that has no such day it is the last
 * day of the month.
 * @param day 1 to 31
 */
export function nextDayOfMonthMs(atMs: number, day: number): number {
  const at = new Date(atMs)
  const year = at.getUTCFullYear()
  const inMonth = (month: number) =>
    Date.UTC(year, month, Math.min(day, new Date(Date.UTC(year, month + 1, 0)).getUTCDate()))
  const next = inMonth(at.getUTCMonth())
  return next > atMs ? next : inMonth(at.getUTCMonth() + 1)
}

/** Start of the calendar month (UTC) after the month of `atMs`, epoch ms. */
export function nextMonthMs(atMs: number): number {
  const at = new Date(atMs)
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1)
}
