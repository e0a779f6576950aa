import * as z from 'zod/mini'

/** More characters than any name or id has. */
const PATH_TEXT_MAX = 128

/**
 * A name or an id in a path. Text that is none is an unknown one, and answered as every other. Longer text is cut,
 * so that it is short enough for a key of the table and still no name or id.
 */
export const pathText = z.string().check(
  z.overwrite((text) => text.slice(0, PATH_TEXT_MAX)),
  z.maxLength(PATH_TEXT_MAX),
)
