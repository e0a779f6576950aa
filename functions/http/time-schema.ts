import * as z from 'zod/mini'

/** The form in which a time is stored has four digits for its year. */
const LATEST_MS = Date.UTC(10_000)

const MESSAGE = 'must be a time such as 2026-11-21T12:00:00Z'

const isStorable = (text: string): boolean => Date.parse(text) >= 0 && Date.parse(text) < LATEST_MS

/** A time with its offset (RFC 3339). */
export const time = () =>
  z.iso
    .datetime({ offset: true, error: MESSAGE, abort: true })
    .check(z.maxLength(40), z.refine(isStorable, MESSAGE))
