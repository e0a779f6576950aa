import * as z from 'zod/mini'
import { email, label, password, twofa, typedPassword } from '../../core/account/fields.ts'
import { credentials, message, secondFactorErrors } from '../http/account-schemas.ts'
import { newAddress, paymentMethod, proveCardErrors } from '../http/payment-schemas.ts'
import { place } from '../http/route.ts'

/** GreenCloud's account (seed 002). */
const account = z.object({
  id: z.string(),
  email: z.string(),
  name: z.string(),
  surname: z.string(),
  address: z.nullable(
    z.object({
      company: z.string(),
      street: z.string(),
      district: z.string(),
      city: z.string(),
      postCode: z.string(),
      country: z.string(),
    }),
  ),
  twofa: z.boolean(),
  apiKey: z.uuidv4(),
  bundle: z.null(),
  flags: z.object({ bundleAutoRenewal: z.boolean(), lowQuotaNotification: z.boolean() }),
})

/** `expiresIn` in seconds, of the access token. */
const tokens = z.object({ accessToken: z.string(), refreshToken: z.string(), expiresIn: z.number() })

/** 32 hex digits, as mailed. */
const code = z.string().check(z.regex(/^[0-9a-fA-F]{32}$/))

const oneSpelling = (body: { bundleAutoRenewal?: unknown; bundleAutoRenew?: unknown }) =>
  body.bundleAutoRenewal === undefined || body.bundleAutoRenew === undefined

/** Six digits of an authenticator app; a recovery code does not exist yet. */
const appCode = z.string().check(z.regex(/^\d{6}$/, 'must be the 6 digits that the app shows'))

/** `prefix` and `last4` tell keys apart; the whole key is shown only when it is made. */
const listedKey = z.object({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  last4: z.string(),
  createdAt: z.iso.datetime(),
})
const shownKey = z.extend(listedKey, { key: z.string() })

/** The billing address that is stored stays (GreenCloud). */
const storedAddress = z.strictObject({ default: z.literal(true) })

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
    errors: ['invalid_code', 'email_taken', 'account_deactivated', 'account_suspended'],
    needs: ['table', 'keyring'],
  },
  login: {
    routes: ['POST /v1/auth/login'],
    summary: 'Sign in by e-mail address or username',
    auth: 'public',
    body: credentials,
    responses: { 200: tokens },
    errors: ['invalid_credentials', ...secondFactorErrors, 'account_deactivated', 'account_suspended'],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp'],
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
    needs: ['table'],
  },
  resend: {
    routes: ['POST /v1/auth/resend'],
    summary: 'Have the confirmation code mailed again; the answer is the same for every address',
    auth: 'public',
    body: z.strictObject({ email }),
    responses: { 204: null },
    errors: [],
    needs: ['table'],
  },
  setFlags: {
    routes: ['PUT /v1/user/flags'],
    summary: 'Switch auto-renewal and low-quota notices; an omitted flag is switched off',
    auth: 'account',
    body: z.optional(
      z
        .strictObject({
          bundleAutoRenewal: z.optional(z.boolean()),
          bundleAutoRenew: z.optional(z.boolean()),
          lowQuotaNotification: z.optional(z.boolean()),
        })
        .check(
          z.refine(oneSpelling, {
            path: ['bundleAutoRenew'],
            error: 'is bundleAutoRenewal: send one of them',
          }),
        ),
    ),
    responses: { 204: null },
    errors: ['conflict'],
    needs: ['table'],
  },
  changePassword: {
    routes: ['PUT /v1/user/password'],
    summary: 'Change your password, which ends every session',
    auth: 'account',
    body: z.strictObject({ password, oldPassword: z.optional(typedPassword), twofa: z.optional(twofa) }),
    responses: { 204: null },
    errors: [
      'wrong_password',
      'reauthentication_required',
      'password_refused',
      ...secondFactorErrors,
      'conflict',
    ],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp'],
  },
  requestPasswordReset: {
    routes: ['POST /v1/user/resetPassword'],
    summary: 'Have a reset code mailed; the answer is the same for every address',
    auth: 'public',
    body: z.strictObject({ email }),
    responses: { 204: null },
    errors: [],
    needs: ['table'],
  },
  resetPassword: {
    routes: ['GET /v1/user/resetPassword', 'PUT /v1/user/resetPassword'],
    summary: 'Set a new password with the code mailed, which ends every session',
    auth: 'public',
    body: z.strictObject({ password, code, twofa: z.optional(twofa) }),
    responses: { 204: null },
    errors: [
      'invalid_code',
      'password_refused',
      ...secondFactorErrors,
      'account_deactivated',
      'account_suspended',
    ],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp'],
  },
  enrolTwoFactor: {
    routes: ['POST /v1/auth/2FA'],
    summary: 'Begin two-factor authentication: a seed, its otpauth URI and a QR code as SVG',
    auth: 'account',
    responses: { 200: z.object({ seed: z.string(), uri: z.string(), qr: z.string() }) },
    errors: ['two_factor_enabled', 'conflict'],
    needs: ['table', 'secrets', 'keyring', 'totp'],
  },
  verifyTwoFactor: {
    routes: ['POST /v1/auth/verify2FA'],
    summary: 'Switch two-factor authentication on with a first code; ten recovery codes, shown once',
    auth: 'account',
    body: z.strictObject({ code: appCode }),
    responses: { 200: z.object({ recoveryCodes: z.array(z.string()) }) },
    errors: [
      'two_factor_not_enrolled',
      'two_factor_enabled',
      'two_factor_invalid',
      'two_factor_locked',
      'conflict',
    ],
    needs: ['table', 'secrets', 'keyring', 'totp'],
  },
  removeTwoFactor: {
    routes: ['DELETE /v1/auth/2FA'],
    summary: 'Switch two-factor authentication off with a code',
    auth: 'account',
    body: z.strictObject({ code: twofa }),
    responses: { 204: null },
    errors: ['two_factor_not_enrolled', 'two_factor_invalid', 'two_factor_locked', 'conflict'],
    needs: ['table', 'secrets', 'keyring', 'totp'],
  },
  listKeys: {
    routes: ['GET /v1/keys'],
    summary: 'List your application keys by their first and last characters',
    auth: 'account',
    responses: { 200: z.array(listedKey) },
    errors: [],
    needs: ['table', 'keyring'],
  },
  createKey: {
    routes: ['POST /v1/keys'],
    summary: 'Create an application key, shown this once',
    auth: 'account',
    body: z.strictObject({ name: label }),
    responses: { 201: shownKey },
    errors: ['key_limit_reached', 'conflict'],
    needs: ['table', 'keyring'],
  },
  rotateKey: {
    routes: ['POST /v1/keys/{id}/rotate'],
    summary: 'Replace an application key; the old one is refused from now on',
    auth: 'account',
    path: z.object({ id: z.string() }),
    responses: { 200: shownKey },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring'],
  },
  deleteKey: {
    routes: ['DELETE /v1/keys/{id}'],
    summary: 'Revoke an application key for good',
    auth: 'account',
    path: z.object({ id: z.string() }),
    responses: { 204: null },
    errors: ['not_found', 'default_key_required', 'conflict'],
    needs: ['table', 'keyring'],
  },
  changeCard: {
    routes: ['PUT /v1/user/card', 'PUT /v1/user/card/'],
    summary: 'Prove another card and make it the default one, once in 24 hours',
    auth: 'account',
    body: z.strictObject({ paymentMethod, address: z.union([storedAddress, newAddress]) }),
    responses: { 202: z.object({ status: z.literal('pending') }), 204: null },
    errors: [...proveCardErrors, 'card_change_not_allowed', 'card_changed_recently', 'no_address'],
    needs: ['table', 'payments', 'webhooks'],
  },
})
