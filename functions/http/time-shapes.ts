/** The dialects show and take times as ISO 8601 in UTC; the domain counts milliseconds since 1970. */

/** A moment to the millisecond, such as 2026-11-21T12:00:00.000Z. */
export const isoTime = (atMs: number): string => new Date(atMs).toISOString()

/** The day of a moment, such as 2026-11-21. */
export const isoDay = (atMs: number): string => isoTime(atMs).slice(0, 10)

/** The moment at which such a day begins, epoch ms. */
export const dayStartMs = (day: string): number => Date.parse(day)
