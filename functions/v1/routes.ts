import * as z from 'zod/mini'
import { email, typedPassword, username } from '../../core/account/fields.ts'
import { place } from '../http/route.ts'

/** GreenCloud's account (seed 002). */
const account = z.object({
  id: z.string(),
  email: z.string(),
  name: z.string(),
  surname: z.string(),
  address: z.null(),
  twofa: z.boolean(),
  apiKey: z.uuidv4(),
  bundle: z.null(),
  flags: z.object({ bundleAutoRenewal: z.boolean(), lowQuotaNotification: z.boolean() }),
})

const message = z.object({ message: z.string() })

/** `expiresIn` in seconds, of the access token. */
const tokens = z.object({ accessToken: z.string(), refreshToken: z.string(), expiresIn: z.number() })

/** 32 hex digits, as mailed. */
const code = z.string().check(z.regex(/^[0-9a-fA-F]{32}$/))

const hasOneName = (body: { email?: unknown; username?: unknown }) =>
  (body.email === undefined) !== (body.username === undefined)

export const v1 = place('v1', {
  getUser: {
    routes: ['GET /v1/user'],
    summary: 'Read your account and its default application key',
    auth: 'account',
    responses: { 200: account },
    errors: [],
    needs: ['table', 'keyring'],
  },
  activate: {
    routes: ['POST /v1/auth/activate'],
    summary: 'Confirm the e-mail address with the code mailed to it',
    auth: 'public',
    body: z.strictObject({ code }),
    responses: { 200: message },
    errors: ['invalid_code', 'account_deactivated', 'account_suspended'],
    needs: ['table', 'keyring'],
  },
  login: {
    routes: ['POST /v1/auth/login'],
    summary: 'Sign in by e-mail address or username',
    auth: 'public',
    body: z
      .strictObject({ email: z.optional(email), username: z.optional(username), password: typedPassword })
      .check(
        z.refine(hasOneName, { path: ['email'], error: 'or username is required, and only one of them' }),
      ),
    responses: { 200: tokens },
    errors: ['invalid_credentials', 'account_deactivated', 'account_suspended'],
    needs: ['table', 'identity'],
  },
  refresh: {
    routes: ['POST /v1/auth/refresh'],
    summary: 'Get a new access token for a live session',
    auth: 'public',
    body: z.strictObject({ refreshToken: z.string().check(z.minLength(1), z.maxLength(4096)) }),
    responses: { 200: tokens },
    errors: ['session_ended', 'account_deactivated', 'account_suspended'],
    needs: ['table', 'identity'],
  },
  logout: {
    routes: ['POST /v1/auth/logout'],
    summary: 'End this session, or every session of the account',
    auth: 'account',
    body: z.optional(z.strictObject({ everywhere: z.optional(z.boolean()) })),
    responses: { 204: null },
    errors: [],
    needs: ['table', 'identity'],
  },
})
