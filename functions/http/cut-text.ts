import * as z from 'zod/mini'

/** Text of which no more than `max` characters can mean anything. Longer text is cut, not refused. */
export const cutText = (max: number) =>
  z.string().check(
    z.overwrite((text) => text.slice(0, max)),
    z.maxLength(max),
  )

/**
 * A name or an id in a path, longer than any is. Text that is none is an unknown one, and answered as every other,
 * but is short enough for a key of the table.
 */
export const pathText = cutText(128)
