/** The dialects show and take times as ISO 8601 in UTC; the domain counts milliseconds since 1970. */

const DAY_MS = 24 * 60 * 60 * 1000

/** A time to the millisecond, such as 2026-11-21T12:00:00.000Z. */
export const isoTime = (atMs: number): string => new Date(atMs).toISOString()

/** A time in whole seconds since 1970. */
export const epochSeconds = (atMs: number): number => Math.floor(atMs / 1000)

/** As `isoTime`; null for no time. */
export const timeOrNull = (atMs: number | undefined): string | null =>
  atMs === undefined ? null : isoTime(atMs)

/** A day (days since 1970, UTC) as text, such as 2026-11-21. */
export const dayText = (day: number): string => isoDay(day * DAY_MS)

/** A time such as 2026-11-21T12:00:00Z as epoch ms. */
export const timeMs = (time: string): number => Date.parse(time)

/** The day of a time, such as 2026-11-21. */
export const isoDay = (atMs: number): string => isoTime(atMs).slice(0, 10)

/** The month of a time, such as 2026-11. */
export const isoMonth = (atMs: number): string => isoTime(atMs).slice(0, 7)

/** The day (days since 1970, UTC) of a time in epoch ms, or of a day such as 2026-11-21. */
export const dayOfTime = (time: number | string): number =>
  Math.floor((typeof time === 'string' ? dayStartMs(time) : time) / DAY_MS)

/** The time at which a day such as 2026-11-21 begins, epoch ms. */
export const dayStartMs = (day: string): number => Date.parse(day)

/** The last millisecond of a day such as 2026-11-21, epoch ms. */
export const dayEndMs = (day: string): number => dayStartMs(day) + DAY_MS - 1
