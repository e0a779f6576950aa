import * as z from 'zod/mini'

/** Schemas that the operators' rows share. */

/** Why an operator changes something, in words for the audit log. */
export const reason = z.string().check(z.trim(), z.minLength(3), z.maxLength(500))

/** The account that a row is about. */
export const accountPath = z.object({
  id: z.string().check(z.regex(/^[0-9a-f]{24}$/, 'must be the id of an account: 24 lower-case hex digits')),
})
