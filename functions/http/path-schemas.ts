import * as z from 'zod/mini'

/**
 * A name or an id in a path. Text that is none is an unknown one, 404 as every other, but is short enough for a key
 * of the table.
 */
export const pathText = z.string().check(z.maxLength(128))
