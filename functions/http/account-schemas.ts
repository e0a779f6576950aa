import * as z from 'zod/mini'
import { email, twofa, typedPassword, username } from '../../core/account/fields.ts'
import { optionalField } from './optional-field.ts'

/** Schemas and error codes for accounts that the rows of several dialects share. */

export const message = z.object({ message: z.string() })

/** EMCP's account; `status` 0 active, 1 suspended, 2 deactivated. */
export const emcpUser = z.object({
  _id: z.string(),
  email: z.string(),
  name: z.string(),
  createdAt: z.iso.datetime(),
  balance: z.number(),
  status: z.literal([0, 1, 2]),
  emailVerified: z.boolean(),
})

const hasOneName = (body: { email?: unknown; username?: unknown }) =>
  (body.email === undefined) !== (body.username === undefined)

/** The proof of identity from a caller without a session. */
export const credentials = z
  .strictObject({
    email: optionalField(email),
    username: optionalField(username),
    password: typedPassword,
    twofa: optionalField(twofa),
  })
  .check(z.refine(hasOneName, { path: ['email'], error: 'send either email or username' }))

const hasOneFactor = (body: { twofa?: unknown; passkey?: unknown }) =>
  body.twofa === undefined || body.passkey === undefined

/** Refuses a body with two second factors. */
export const oneFactor = z.refine<{ twofa?: unknown; passkey?: unknown }>(hasOneFactor, {
  path: ['passkey'],
  error: 'send either twofa or passkey',
})

/** Error codes of an endpoint that asks for the second factor if the account has one. */
export const secondFactorErrors = ['two_factor_required', 'two_factor_invalid', 'two_factor_locked'] as const
