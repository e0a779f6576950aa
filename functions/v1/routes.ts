import * as z from 'zod/mini'
import { email, label, password, twofa, typedPassword } from '../../core/account/fields.ts'
import { bundleNames } from '../../core/purchases/catalogue.ts'
import { ledgerKinds } from '../../core/purchases/ledger-kinds.ts'
import { credentials, message, secondFactorErrors } from '../http/account-schemas.ts'
import { isWholeCents } from '../http/money-shapes.ts'
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
  bundle: z.nullable(z.object({ name: z.string(), quota: z.number(), price: z.number() })),
  renewal: z.object({
    state: z.enum(['on', 'off', 'retrying', 'paused', 'action_required', 'capped']),
    reason: z.nullable(z.string()),
    nextAttemptAt: z.nullable(z.iso.datetime()),
    monthlyCap: z.nullable(z.number()),
  }),
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

/** Printable ASCII without spaces, so that it is the same in a header and in a body. */
const requestId = z.string().check(z.maxLength(255), z.regex(/^[!-~]+$/, 'must be visible ASCII'))
const units = z.int().check(z.gte(1), z.lte(1_000_000_000))
const request = z.strictObject({ units, requestId: z.optional(requestId) })

/** As they stand after this request. */
const use = { left: z.number(), used: z.number() }

/** A day of the calendar, UTC. */
const day = z.iso.date('must be a day such as 2026-11-21')

/** What every purchase answers beside its success; money may be moving, so nothing is called failed. */
const pending = z.object({ id: z.string(), status: z.literal('pending') })

const purchaseHeaders = z.object({ 'idempotency-key': z.optional(requestId) })

const purchaseErrors = [
  'card_declined',
  'payment_action_required',
  'purchase_open',
  'request_in_flight',
  'idempotency_key_reused',
] as const

/** In any case of ASCII: `ſ` is no S. */
const isBundle = (name: string) =>
  /^[a-z]+$/i.test(name) && (bundleNames as readonly string[]).includes(name.toUpperCase())

const invoice = z.object({
  amount: z.number(),
  status: z.enum(['paid', 'partially_refunded', 'refunded', 'disputed']),
  paidDay: z.iso.date(),
})

/** A page of a list; the Link header leads to the next one. */
const pageOf = (cursor: z.ZodMiniType<string>) =>
  z.strictObject({
    limit: z.optional(z.string().check(z.regex(/^([1-9]\d{0,2}|1000)$/, 'must be 1 to 1000'))),
    cursor: z.optional(cursor),
  })

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
  consume: {
    routes: ['POST /v1/usage'],
    summary: 'Consume quota, once per request id (`requestId`, or the header Idempotency-Key)',
    auth: 'key',
    headers: z.object({ 'idempotency-key': z.optional(requestId) }),
    body: request,
    responses: { 200: z.object(use) },
    errors: ['quota_exhausted'],
    needs: ['table', 'keyring'],
  },
  consumeBatch: {
    routes: ['POST /v1/usage/batch'],
    summary: 'Consume quota for up to 100 requests at once; an answer each',
    auth: 'key',
    headers: z.object({ 'idempotency-key': z.optional(requestId) }),
    body: z.strictObject({ requests: z.array(request).check(z.minLength(1), z.maxLength(100)) }),
    responses: {
      200: z.object({
        answers: z.array(
          z.union([
            z.object({ requestId: z.optional(z.string()), status: z.literal(200), ...use }),
            z.object({
              requestId: z.optional(z.string()),
              status: z.literal(402),
              type: z.literal('urn:bursar:problem:quota_exhausted'),
              ...use,
            }),
          ]),
        ),
      }),
    },
    errors: [],
    needs: ['table', 'keyring'],
  },
  usage: {
    routes: ['GET /v1/usage'],
    summary: 'Read the units used, by day (UTC) and application key; the last 30 days unless told otherwise',
    auth: 'account',
    query: z.strictObject({ from: z.optional(day), to: z.optional(day) }),
    responses: {
      200: z.object({
        allusage: z.number(),
        days: z.array(
          z.object({
            day: z.string(),
            units: z.number(),
            keys: z.array(z.object({ id: z.nullable(z.string()), units: z.number() })),
          }),
        ),
      }),
    },
    errors: [],
    needs: ['table'],
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
  signUpForBundle: {
    routes: ['POST /v1/user/bundle'],
    summary: 'Sign up for a bundle: charge its price, add its units, keep the card for renewals',
    auth: 'account',
    headers: purchaseHeaders,
    body: z.strictObject({ name: z.enum(bundleNames), paymentMethod, address: newAddress }),
    responses: { 202: pending, 204: null },
    errors: ['email_unconfirmed', 'bundle_held', 'too_many_cards_tried', ...purchaseErrors],
    needs: ['table', 'payments', 'webhooks'],
  },
  changeBundle: {
    routes: ['PUT /v1/user/bundle/{bundleName}'],
    summary:
      'Change to another bundle, its name in any case: charge its price, add its units to what is left',
    auth: 'account',
    path: z.object({
      bundleName: z.string().check(z.refine(isBundle, `must be one of ${bundleNames.join(', ')}`)),
    }),
    headers: purchaseHeaders,
    responses: { 202: pending, 204: null },
    errors: ['no_bundle', 'bundle_held', 'no_card', ...purchaseErrors],
    needs: ['table', 'payments', 'webhooks'],
  },
  buy: {
    routes: ['POST /v1/user/buy'],
    summary: 'Refill the bundle held: charge its price, add its units to what is left',
    auth: 'account',
    headers: purchaseHeaders,
    responses: { 201: null, 202: pending },
    errors: ['no_bundle', 'no_card', ...purchaseErrors],
    needs: ['table', 'payments', 'webhooks'],
  },
  setRenewal: {
    routes: ['PUT /v1/user/renewal'],
    summary: 'Limit what auto-renewal may charge in a calendar month (UTC), in dollars; null lifts the limit',
    auth: 'account',
    body: z.strictObject({
      monthlyCap: z.nullable(
        z.number().check(z.gte(0), z.lte(1_000_000), z.refine(isWholeCents, 'must be whole cents')),
      ),
    }),
    responses: { 204: null },
    errors: ['conflict'],
    needs: ['table'],
  },
  listInvoices: {
    routes: ['GET /v1/invoice/list'],
    summary: 'List your payments, newest first; amounts in dollars; the Link header leads to the next page',
    auth: 'account',
    query: pageOf(z.string().check(z.regex(/^[0-9a-f]{24}$/))),
    responses: { 200: z.array(z.object({ id: z.string(), ...invoice.shape })) },
    errors: [],
    needs: ['table'],
  },
  getInvoice: {
    routes: ['GET /v1/invoice/{id}'],
    summary: 'Read one payment with its card and the link to its receipt',
    auth: 'account',
    path: z.object({ id: z.string() }),
    responses: {
      200: z.extend(invoice, {
        description: z.string(),
        payment: z.object({
          card: z.object({ brand: z.string(), last4: z.string() }),
          receiptUrl: z.nullable(z.string()),
        }),
      }),
    },
    errors: ['not_found'],
    needs: ['table'],
  },
  listLedger: {
    routes: ['GET /v1/ledger'],
    summary:
      'Read the statement, oldest first: amounts in dollars sum to the balance, units to those left and used',
    auth: 'account',
    query: pageOf(z.string().check(z.regex(/^\d{1,12}$/))),
    responses: {
      200: z.array(
        z.object({
          seq: z.number(),
          at: z.iso.datetime(),
          kind: z.enum(ledgerKinds),
          units: z.number(),
          amount: z.number(),
          purchaseId: z.optional(z.string()),
        }),
      ),
    },
    errors: [],
    needs: ['table'],
  },
})
