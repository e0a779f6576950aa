import * as z from 'zod/mini'

/** The form in which a time is stored has four digits for its year. */
const LATEST_MS = Date.UTC(10_000)

const MESSAGE = 'must be a time such as 2026-11-21T12:00:00Z'

const isStorable = (text: string): boolean => Date.parse(text) >= 0 && Date.parse(text) < LATEST_MS

const isDayInReach = (text: string): boolean => /^20\d\d-/.test(text)

/** A day of the calendar (UTC). Sort keys have room for the days of these years, and Bursar has known no others. */
export const calendarDay = () =>
  z.iso
    .date({ error: 'must be a day such as 2026-11-21', abort: true })
    .check(z.refine(isDayInReach, 'must be a day of the years 2000 to 2099'))

/** A time with its offset (RFC 3339). */
export const time = () =>
  z.iso
    .datetime({ offset: true, error: MESSAGE, abort: true })
    .check(z.maxLength(40), z.refine(isStorable, MESSAGE))
