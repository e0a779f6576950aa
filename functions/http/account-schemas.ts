import * as z from 'zod/mini'
import { email, twofa, typedPassword, username } from '../../core/account/fields.ts'

/** What the rows of several dialects say of accounts. */

export const message = z.object({ message: z.string() })

const hasOneName = (body: { email?: unknown; username?: unknown }) =>
  (body.email === undefined) !== (body.username === undefined)

/** How somebody proves who they are without a session. */
export const credentials = z
  .strictObject({
    email: z.optional(email),
    username: z.optional(username),
    password: typedPassword,
    twofa: z.optional(twofa),
  })
  .check(z.refine(hasOneName, { path: ['email'], error: 'send either email or username' }))

/** What an endpoint refuses that asks for a second factor where it is on. */
export const secondFactorErrors = ['two_factor_required', 'two_factor_invalid', 'two_factor_locked'] as const
