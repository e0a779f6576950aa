import * as z from 'zod/mini'

/** The account that a row is about. */
export const accountPath = z.object({
  id: z.string().check(z.regex(/^[0-9a-f]{24}$/, 'must be the id of an account: 24 lower-case hex digits')),
})
