/** Durations in milliseconds. */
export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** For so long a request that was answered may be sent again: an hour, and some minutes for a client that waits it out. */
export const REPEAT_MS = HOUR_MS + 10 * MINUTE_MS

/** Start of the calendar month (UTC) after the month of `atMs`, epoch ms. */
export function nextMonthMs(atMs: number): number {
  const at = new Date(atMs)
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1)
}
