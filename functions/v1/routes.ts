import * as z from 'zod/mini'
import {
  email,
  label,
  newEmail,
  partOfName,
  password,
  twofa,
  typedPassword,
} from '../../core/account/fields.ts'
import { assertion, attestation } from '../../core/credentials/passkey-shapes.ts'
import {
  linkCode,
  mailedCode,
  secondFactorCode,
  TYPED_CODE_LENGTH,
} from '../../core/credentials/typed-codes.ts'
import { GRACE_MOST_SECONDS } from '../../core/keys/settings.ts'
import { ledgerKinds } from '../../core/ledger/kinds.ts'
import { PLAN_NAME } from '../../core/plans/plan.ts'
import { bundleNames, CURRENCY } from '../../core/purchases/catalogue.ts'
import { MOST_ALERT_UNITS, MOST_ALERTS } from '../../core/quota/alerts.ts'
import { RESERVATION_MOST_SECONDS } from '../../core/quota/reservation.ts'
import { TIME_CURSOR } from '../../core/table/time-cursor.ts'
import { credentials, message, oneFactor, secondFactorErrors } from '../http/account-schemas.ts'
import { cutText, pathText } from '../http/cut-text.ts'
import { exportCursor, exportPage } from '../http/export-schema.ts'
import { keyChangeBody, newKeyBody, ownedKey } from '../http/key-schemas.ts'
import { amountOf, isWholeCents, MAX_CAP_CENTS } from '../http/money-shapes.ts'
import { optionalField } from '../http/optional-field.ts'
import {
  idempotencyHeaders,
  newAddress,
  paymentMethod,
  proveCardErrors,
  replay,
  requestId,
} from '../http/payment-schemas.ts'
import { belowOf, isShare, SHARE } from '../http/renewal-shapes.ts'
import { place } from '../http/route.ts'
import { calendarDay } from '../http/time-schema.ts'
import { descriptions } from './descriptions.ts'

/** GreenCloud's account. */
const account = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string(),
  /** Only there while mail to the address does not arrive. */
  emailUndeliverable: z.optional(z.literal(true)),
  /** The new address, while it waits to be confirmed. */
  pendingEmail: z.optional(z.string()),
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
  /** Present while a recovery of lost two-factor codes is open. */
  recovery: z.optional(z.object({ finishesAt: z.iso.datetime() })),
  /** Whole for a recent session, else `92c85d5c...d764`. */
  apiKey: z.string(),
  /** Units left, used and reserved, before the first bundle too. */
  usage: z.object({ left: z.int(), used: z.int(), reserved: z.int() }),
  bundle: z.nullable(z.object({ name: z.string(), quota: z.int(), price: z.nullable(z.number()) })),
  renewal: z.object({
    state: z.enum(['on', 'off', 'retrying', 'paused', 'action_required', 'capped', 'held_back']),
    reason: z.nullable(z.string()),
    nextAttemptAt: z.nullable(z.iso.datetime()),
    monthlyCap: z.nullable(z.number()),
    below: z.union([z.int(), z.string()]),
    bundle: z.nullable(z.string()),
    maxPerHour: z.int(),
    maxPerDay: z.int(),
  }),
  flags: z.object({ bundleAutoRenewal: z.boolean(), lowQuotaNotification: z.boolean() }),
  alerts: z.array(z.object({ below: z.union([z.int(), z.string()]), armed: z.boolean() })),
})

/** `expiresIn` is the life of the access token in seconds. A refresh token in a cookie is not in the body. */
const tokens = z.object({
  accessToken: z.string(),
  refreshToken: z.optional(z.string()),
  expiresIn: z.int(),
})

/** Where the refresh token is kept, if not by the caller. */
const session = optionalField(z.literal('cookie'))

const hasOneToken = (body: { refreshToken?: unknown; session?: unknown }) =>
  (body.refreshToken === undefined) !== (body.session === undefined)

const hasTwoTokens = (body: { refreshToken?: unknown; session?: unknown }) =>
  body.refreshToken !== undefined && body.session !== undefined

const ONE_TOKEN = { path: ['session'], error: 'send either refreshToken or session' }

/** `userAgent` is in our own words, such as `Firefox on Windows`. */
const listedSession = z.object({
  id: z.string(),
  since: z.iso.datetime(),
  lastSeen: z.iso.datetime(),
  userAgent: z.nullable(z.string()),
  current: z.boolean(),
})

/** As signing in answers it. */
const refreshToken = z.string().check(z.minLength(1), z.maxLength(4096))

const isMailedCode = (code: string) => /^[0-9a-f]{32}$/.test(code)

/** 32 hex digits, as mailed, in the form in which they are checked. */
const code = z
  .string()
  .check(z.maxLength(TYPED_CODE_LENGTH, { abort: true }), z.overwrite(mailedCode), z.refine(isMailedCode))

const oneSpelling = (body: { bundleAutoRenewal?: unknown; bundleAutoRenew?: unknown }) =>
  body.bundleAutoRenewal === undefined || body.bundleAutoRenew === undefined

/** Six digits of an authenticator app. Recovery codes do not exist yet at this step. */
const appCode = z.string().check(
  z.maxLength(TYPED_CODE_LENGTH, { abort: true }),
  z.overwrite(secondFactorCode),
  z.refine((code) => /^[0-9]{6}$/.test(code), 'must be the 6 digits that the app shows'),
)

const listedKey = z.extend(ownedKey, { lastUsedDay: z.nullable(z.string()) })
const shownKey = z.extend(ownedKey, { key: z.string(), ...replay })

/** Scopes that the application key of a request must have. */
const requires = z.optional(z.array(z.string().check(z.regex(/^[!-~]{1,64}$/))).check(z.maxLength(20)))

/** 0 units are a check, which spends nothing. */
const units = z.int().check(z.gte(0), z.lte(1_000_000_000))
/** What units are used for. Visible ASCII, as an id. */
const tag = z.optional(requestId.check(z.maxLength(64)))
const requestFields = { units, requestId: z.optional(requestId), tag }
const request = z.strictObject(requestFields)
/** A request of a batch. Only a service names a customer in it, by key or by account. */
const named = z.optional(z.string().check(z.maxLength(200)))
const customerRequest = z.strictObject({ ...requestFields, key: named, account: named, ip: named })

/** The units left and used after a request. */
const use = { left: z.int(), used: z.int(), keyLeft: z.optional(z.int()), ...replay }

/** What the limits of a key refuse. */
const limitErrors = ['key_budget_exhausted', 'over_burst', 'rate_limited'] as const

/** The account and the application key of a request. */
const spender = {
  account: z.string(),
  key: z.object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.string()),
    metadata: z.optional(z.record(z.string(), z.unknown())),
  }),
}

/** The same where one of several answers may have it. */
const someSpender = { account: z.optional(spender.account), key: z.optional(spender.key) }

/** A reservation that has ended: the units that were used, and those of them that were covered. */
const settled = z.object({ id: z.string(), units: z.int(), covered: z.int(), ...use, ...spender })

/** What a reservation or a lease is asked to have. */
const leaseTerms = {
  units: z.int().check(z.gte(1), z.lte(1_000_000_000)),
  requestId: z.optional(requestId),
  ttlSeconds: z.optional(z.int().check(z.gte(1), z.lte(RESERVATION_MOST_SECONDS))),
}

/** What was used of a lease, and for what. */
const leaseUse = z.array(z.strictObject({ tag, units })).check(z.maxLength(100))

/** A reservation or a lease as its maker is told. */
const leased = {
  id: z.string(),
  units: z.int(),
  // As ISO 8601. The schema of a time would take two kilobytes of the bundle.
  expiresAt: z.optional(z.string()),
  ...use,
  ...spender,
}

const hasOneCode = (body: { code?: unknown; passkey?: unknown }) =>
  (body.code === undefined) !== (body.passkey === undefined)

const hasProof = (body: { password?: unknown; twofa?: unknown; passkey?: unknown }) =>
  [body.password, body.twofa, body.passkey].some((proof) => proof !== undefined)

const listedPasskey = z.object({
  id: z.string(),
  name: z.string(),
  /** By which a frontend tells the browser which passkeys still exist. */
  credentialId: z.string(),
  synced: z.boolean(),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.nullable(z.iso.datetime()),
})

const credentialType = z.literal('public-key')

/** `PublicKeyCredentialRequestOptionsJSON` of WebAuthn. */
const assertionOptions = z.object({
  challenge: z.string(),
  rpId: z.string(),
  timeout: z.int(),
  userVerification: z.literal('required'),
  allowCredentials: z.array(z.object({ id: z.string(), type: credentialType })),
})

/** `PublicKeyCredentialCreationOptionsJSON` of WebAuthn. */
const attestationOptions = z.object({
  challenge: z.string(),
  rp: z.object({ id: z.string(), name: z.string() }),
  user: z.object({ id: z.string(), name: z.string(), displayName: z.string() }),
  pubKeyCredParams: z.array(z.object({ alg: z.int(), type: credentialType })),
  timeout: z.int(),
  excludeCredentials: z.array(z.object({ id: z.string(), type: credentialType })),
  authenticatorSelection: z.object({
    residentKey: z.literal('required'),
    requireResidentKey: z.boolean(),
    userVerification: z.literal('required'),
  }),
  attestation: z.literal('none'),
})

/** The answer of a purchase with an unknown outcome. Money may be moving, so the status is not `failed`. */
const pending = z.object({ id: z.string(), status: z.literal('pending'), ...replay })

const purchaseErrors = [
  'card_declined',
  'too_many_cards_tried',
  'payment_action_required',
  'purchase_open',
  'request_in_flight',
  'idempotency_key_reused',
  'coupon_unknown',
  'coupon_stopped',
  'coupon_expired',
  'coupon_used_up',
  'coupon_already_used',
  'coupon_not_applicable',
  'too_many_requests',
] as const

/** The code of a coupon, as people type it. */
const coupon = optionalField(
  z
    .string()
    .check(
      z.trim(),
      z.minLength(1),
      z.maxLength(64),
      z.regex(/^[A-Za-z0-9-]+$/, 'must have letters, digits and hyphens only'),
    ),
)

/** Which plans there are is known to the domain alone. */
const planName = z
  .string()
  .check(z.regex(PLAN_NAME, `must be the name of a bundle, such as ${bundleNames[0]}`))

/** Whether an amount in the catalogue's currency has no more decimals than the currency. */
const isAmount = (amount: number) => isWholeCents(amount, CURRENCY)

/** A limit on the number of renewals in an hour or a day. */
const maxRenewals = z.int().check(z.gte(1), z.lte(10_000))

const hasASetting = (body: object) => Object.values(body).some((value) => value !== undefined)

const BELOW = 'must be a whole number of units from 1 on, or a share from "0.01%" to "50%"'

/** When a bundle renews itself: below a number of units, or below a share of the bundle. */
const below = z.union(
  [
    z.int().check(z.gte(1)),
    z.string().check(
      z.regex(SHARE, BELOW),
      z.refine((text) => !SHARE.test(text) || isShare(text), BELOW),
    ),
  ],
  BELOW,
)

const ALERT_BELOW = `must be a whole number of units from 1 to ${MOST_ALERT_UNITS}, or a share from "0.01%" to "99.99%"`

/** A threshold of an alert: a number of units, or a share of the bundle. */
const alert = z.strictObject({
  below: z.union(
    [
      z.int().check(z.gte(1), z.lte(MOST_ALERT_UNITS)),
      z.string().check(
        z.regex(SHARE, ALERT_BELOW),
        z.refine((text) => !SHARE.test(text) || isShare(text, 1), ALERT_BELOW),
      ),
    ],
    ALERT_BELOW,
  ),
})

const isEachOnce = (alerts: readonly { below: number | string }[]) =>
  new Set(alerts.map(({ below: each }) => belowOf(each))).size === alerts.length

/** An entry of the audit log. Its facts are short values. */
const facts = z.nullable(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])))
const activity = z.object({
  id: z.string(),
  at: z.iso.datetime(),
  action: z.string(),
  text: z.string(),
  by: z.enum(['owner', 'operator', 'key', 'anyone', 'system']),
  ip: z.nullable(z.string()),
  before: facts,
  after: facts,
})

const invoice = z.object({
  amount: z.number(),
  currency: z.string(),
  status: z.literal('succeeded'),
  state: z.enum(['paid', 'partially_refunded', 'refunded', 'disputed']),
  paidOn: z.iso.date(),
})

/** A page of a list; the Link header leads to the next one. */
const pageOf = (cursor: z.ZodMiniType<string>) =>
  z.strictObject({
    limit: optionalField(z.string().check(z.regex(/^([1-9]\d{0,2}|1000)$/, 'must be 1 to 1000'))),
    cursor: z.optional(cursor),
  })

/** GreenCloud's form for keeping the stored billing address. */
const storedAddress = z.strictObject({ default: z.literal(true) })

const link = z.nullable(z.string())

/** What a page must know before anybody signs in. */
const config = z.object({
  appName: z.string(),
  publishableKey: z.string(),
  bundles: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      units: z.number(),
      price: z.number(),
      currency: z.string(),
      monthlyUnits: z.number(),
      expiresAfterDays: z.nullable(z.number()),
    }),
  ),
  trialUnits: z.number(),
  password: z.object({ minLength: z.number(), maxLength: z.number(), symbols: z.string() }),
  factors: z.object({ totp: z.boolean(), passkeys: z.boolean() }),
  challenge: z.nullable(z.object({ provider: z.literal('turnstile'), siteKey: z.string() })),
  supportEmail: z.string(),
  theme: z.object({ color: z.nullable(z.string()), logoUrl: link }),
  links: z.object({ terms: link, privacy: link }),
})

export const v1 = place('v1', {
  getConfig: {
    routes: ['GET /v1/config'],
    summary: 'Reads what a page must know: bundles with prices, the key for Stripe, the password rule',
    description: descriptions.getConfig,
    auth: 'public',
    responses: { 200: config },
    errors: [],
    maxAgeSeconds: 60,
    needs: ['table', 'deployment'],
  },
  getUser: {
    routes: ['GET /v1/user'],
    summary: 'Reads your account and its default application key',
    description: descriptions.getUser,
    auth: 'account',
    responses: { 200: account },
    errors: [],
    needs: ['table', 'keyring'],
  },
  exportUser: {
    routes: ['POST /v1/user/export'],
    summary: 'Exports everything that is stored about you, page by page',
    description: descriptions.exportUser,
    auth: 'account',
    proof: 'recent',
    body: z.optional(z.strictObject({ cursor: z.optional(exportCursor) })),
    responses: { 200: exportPage },
    errors: ['too_many_exports', 'conflict'],
    needs: ['table'],
  },
  deleteUser: {
    routes: ['DELETE /v1/user'],
    summary: 'Deletes your account; signing in within 30 days keeps it, then your data is erased',
    description: descriptions.deleteUser,
    auth: 'account',
    proof: 'recent',
    body: z.optional(z.strictObject({ units: optionalField(z.literal('forfeit')) })),
    responses: { 202: z.object({ status: z.literal('deleted'), eraseAt: z.iso.datetime() }) },
    errors: ['units_left', 'balance_owed', 'conflict'],
    refusalAfter: 'account_deactivated',
    needs: ['table', 'payments', 'paymentScope'],
  },
  keyLogin: {
    routes: ['POST /v1/auth/apiKey'],
    summary: 'Gives an access token that only reads for an application key',
    description: descriptions.keyLogin,
    auth: 'public',
    guards: ['vault'],
    body: z.strictObject({ key: z.string().check(z.minLength(1), z.maxLength(200)) }),
    responses: { 200: z.object({ accessToken: z.string(), expiresIn: z.number() }) },
    errors: [
      'unauthorized',
      'key_expired',
      'key_disabled',
      'ip_not_allowed',
      'account_deactivated',
      'account_suspended',
      'conflict',
    ],
    needs: ['table', 'keyring', 'identity'],
  },
  register: {
    routes: ['POST /v1/auth/register'],
    summary: 'Registers an account by its e-mail address and mails the code that confirms it',
    description: descriptions.register,
    auth: 'public',
    guards: ['signup', 'mail', 'password'],
    body: z.strictObject({ name: partOfName, surname: partOfName, email: newEmail, password }),
    responses: { 201: null },
    errors: ['email_taken'],
    needs: ['table', 'keyring', 'mail', 'challenge', 'mailDomains'],
  },
  activate: {
    routes: ['POST /v1/auth/activate'],
    summary: 'Confirms an e-mail address with the code mailed to it',
    description: descriptions.activate,
    auth: 'public',
    guards: ['code', 'vault'],
    body: z.strictObject({ code }),
    responses: { 200: message },
    errors: ['invalid_code', 'email_taken', 'account_deactivated', 'account_suspended'],
    needs: ['table', 'identity', 'keyring'],
  },
  login: {
    routes: ['POST /v1/auth/login'],
    summary: 'Signs in by e-mail address or username',
    description: descriptions.login,
    auth: 'public',
    guards: ['password', 'code', 'vault'],
    headers: z.object({ 'user-agent': z.optional(cutText(10_240)) }),
    body: z.safeExtend(credentials, { passkey: optionalField(assertion), session }).check(oneFactor),
    sessionCookie: 'given',
    responses: { 200: tokens },
    errors: [
      'not_same_origin',
      'invalid_credentials',
      'password_locked',
      'password_refused',
      'email_unconfirmed',
      ...secondFactorErrors,
      'passkey_refused',
      'account_deactivated',
      'account_suspended',
    ],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp', 'passkeys', 'passwordHashes', 'challenge'],
  },
  refresh: {
    routes: ['POST /v1/auth/refresh'],
    summary: 'Gives a new access token for a live session',
    description: descriptions.refresh,
    auth: 'public',
    guards: ['vault'],
    body: z
      .strictObject({ refreshToken: optionalField(refreshToken), session })
      .check(z.refine(hasOneToken, ONE_TOKEN)),
    sessionCookie: 'taken',
    responses: { 200: tokens },
    errors: ['not_same_origin', 'session_ended', 'account_deactivated', 'account_suspended'],
    needs: ['table', 'identity', 'keyring'],
  },
  confirmSession: {
    routes: ['POST /v1/auth/confirm'],
    summary:
      'Proves again who uses this session, by password, code or passkey, for what needs a recent proof',
    description: descriptions.confirmSession,
    auth: 'account',
    proof: 'own',
    guards: ['password', 'code', 'vault'],
    body: z
      .strictObject({
        password: optionalField(typedPassword),
        twofa: optionalField(twofa),
        passkey: optionalField(assertion),
      })
      .check(z.refine(hasProof, { path: ['password'], error: 'or twofa or passkey is required' }), oneFactor),
    responses: { 204: null },
    errors: [
      'wrong_password',
      'password_locked',
      'reauthentication_required',
      ...secondFactorErrors,
      'passkey_refused',
    ],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp', 'passkeys'],
  },
  logout: {
    routes: ['POST /v1/auth/logout'],
    summary: 'Ends this session, or every session of your account',
    description: descriptions.logout,
    // An expired token must not keep anybody from signing out, so the gateway does not ask for one.
    auth: 'public',
    guards: ['vault'],
    token: 'optional',
    headers: z.object({ authorization: z.optional(cutText(10_240)) }),
    body: z.optional(
      z
        .strictObject({
          everywhere: z.optional(z.boolean()),
          refreshToken: optionalField(refreshToken),
          session,
        })
        .check(z.refine((body) => !hasTwoTokens(body), ONE_TOKEN)),
    ),
    sessionCookie: 'taken',
    responses: { 204: null },
    errors: ['not_same_origin', 'unauthorized', 'token_expired', 'session_ended'],
    needs: ['table', 'identity', 'keyring'],
  },
  listSessions: {
    routes: ['GET /v1/auth/sessions'],
    summary: 'Lists the live sessions of your account, the one seen last first',
    description: descriptions.listSessions,
    auth: 'account',
    responses: { 200: z.array(listedSession) },
    errors: [],
    needs: ['table', 'keyring'],
  },
  listActivity: {
    routes: ['GET /v1/user/activity'],
    summary: 'Lists what was done to your account and by whom, newest first: sign-ins, keys, addresses, help',
    description: descriptions.listActivity,
    auth: 'account',
    query: pageOf(z.string().check(z.regex(TIME_CURSOR))),
    responses: { 200: z.array(activity) },
    errors: [],
    needs: ['table'],
  },
  endSession: {
    routes: ['DELETE /v1/auth/sessions/{id}'],
    summary: 'Ends one session of your account',
    description: descriptions.endSession,
    auth: 'account',
    path: z.object({ id: z.string().check(z.maxLength(100)) }),
    responses: { 204: null },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring'],
  },
  resend: {
    routes: ['POST /v1/auth/resend'],
    summary: 'Mails the confirmation code again; the answer is the same for every address',
    description: descriptions.resend,
    auth: 'public',
    guards: ['mail'],
    body: z.strictObject({ email }),
    responses: { 204: null },
    errors: [],
    needs: ['table', 'keyring', 'challenge'],
  },
  setFlags: {
    routes: ['PUT /v1/user/flags'],
    summary: 'Switches auto-renewal and low-quota notices on or off',
    description: descriptions.setFlags,
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
    errors: [],
    needs: ['table', 'renewals'],
  },
  setAlerts: {
    routes: ['PUT /v1/user/alerts'],
    summary: 'Chooses below how many units you are told, once a crossing',
    description: descriptions.setAlerts,
    auth: 'account',
    body: z.strictObject({
      alerts: z
        .array(alert)
        .check(
          z.maxLength(MOST_ALERTS, { abort: true }),
          z.refine(isEachOnce, 'has the same threshold twice'),
        ),
    }),
    responses: { 204: null },
    errors: ['conflict'],
    needs: ['table'],
  },
  changePassword: {
    routes: ['PUT /v1/user/password'],
    summary: 'Changes your password, which ends every session',
    description: descriptions.changePassword,
    auth: 'account',
    proof: 'own',
    guards: ['password', 'code', 'vault'],
    body: z
      .strictObject({
        password,
        oldPassword: optionalField(typedPassword),
        twofa: optionalField(twofa),
        passkey: optionalField(assertion),
        keys: optionalField(z.literal('rotate')),
      })
      .check(oneFactor),
    responses: { 204: null },
    errors: [
      'wrong_password',
      'password_locked',
      'reauthentication_required',
      'password_refused',
      ...secondFactorErrors,
      'passkey_refused',
    ],
    refusalAfter: 'session_ended',
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp', 'passkeys'],
  },
  requestPasswordReset: {
    routes: ['POST /v1/user/resetPassword'],
    summary: 'Mails a reset code; the answer is the same for every address',
    description: descriptions.requestPasswordReset,
    auth: 'public',
    guards: ['mail'],
    body: z.strictObject({ email }),
    responses: { 204: null },
    errors: [],
    needs: ['table', 'keyring', 'challenge'],
  },
  resetPassword: {
    routes: ['GET /v1/user/resetPassword', 'PUT /v1/user/resetPassword'],
    summary: 'Sets a new password with a mailed code, ends every session and restores a deactivated account',
    description: descriptions.resetPassword,
    auth: 'public',
    guards: ['code', 'vault'],
    body: z
      .strictObject({
        password,
        code,
        twofa: optionalField(twofa),
        passkey: optionalField(assertion),
        restore: z.optional(z.boolean()),
      })
      .check(oneFactor),
    responses: { 204: null },
    errors: [
      'invalid_code',
      'password_refused',
      ...secondFactorErrors,
      'passkey_refused',
      'account_deactivated',
      'account_suspended',
    ],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp', 'passkeys'],
  },
  enrolTwoFactor: {
    routes: ['POST /v1/auth/2FA'],
    summary: 'Begins two-factor authentication: a seed, its URI and a QR code',
    description: descriptions.enrolTwoFactor,
    auth: 'account',
    proof: 'recent',
    responses: { 200: z.object({ seed: z.string(), uri: z.string(), qr: z.string() }) },
    errors: ['two_factor_enabled', 'conflict'],
    needs: ['table', 'secrets', 'keyring', 'totp'],
  },
  verifyTwoFactor: {
    routes: ['POST /v1/auth/verify2FA'],
    summary: 'Switches two-factor authentication on with a first code, and shows ten recovery codes',
    description: descriptions.verifyTwoFactor,
    auth: 'account',
    proof: 'recent',
    guards: ['code'],
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
    summary: 'Switches two-factor authentication off with a code or a passkey',
    description: descriptions.removeTwoFactor,
    auth: 'account',
    proof: 'own',
    guards: ['code'],
    body: z
      .strictObject({ code: optionalField(twofa), passkey: optionalField(assertion) })
      .check(z.refine(hasOneCode, { path: ['code'], error: 'is required, or passkey in its place' })),
    responses: { 204: null },
    errors: [
      'two_factor_not_enrolled',
      'two_factor_invalid',
      'two_factor_locked',
      'passkey_refused',
      'conflict',
    ],
    needs: ['table', 'secrets', 'keyring', 'totp', 'passkeys'],
  },
  passkeyOptions: {
    routes: ['POST /v1/auth/passkeys/options/create'],
    summary: 'Answers the options with which a browser makes a passkey for your account',
    description: descriptions.passkeyOptions,
    auth: 'account',
    proof: 'recent',
    responses: { 200: attestationOptions },
    errors: ['passkey_limit_reached'],
    needs: ['table', 'keyring', 'relyingParty'],
  },
  addPasskey: {
    routes: ['POST /v1/auth/passkeys'],
    summary: 'Adds a passkey that the browser has made to your account',
    description: descriptions.addPasskey,
    auth: 'account',
    proof: 'recent',
    body: z.strictObject({ name: label, passkey: attestation }),
    responses: { 201: listedPasskey },
    errors: ['invalid_passkey', 'passkey_limit_reached', 'conflict'],
    needs: ['table', 'keyring', 'passkeys'],
  },
  listPasskeys: {
    routes: ['GET /v1/auth/passkeys'],
    summary: 'Lists the passkeys of your account, oldest first',
    description: descriptions.listPasskeys,
    auth: 'account',
    responses: { 200: z.array(listedPasskey) },
    errors: [],
    needs: ['table'],
  },
  renamePasskey: {
    routes: ['PUT /v1/auth/passkeys/{id}'],
    summary: 'Gives a passkey another name',
    description: descriptions.renamePasskey,
    auth: 'account',
    path: z.object({ id: pathText }),
    body: z.strictObject({ name: label }),
    responses: { 200: listedPasskey },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  removePasskey: {
    routes: ['DELETE /v1/auth/passkeys/{id}'],
    summary: 'Removes a passkey from your account',
    description: descriptions.removePasskey,
    auth: 'account',
    proof: 'recent',
    path: z.object({ id: pathText }),
    responses: { 204: null },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  passkeyChallenge: {
    routes: ['POST /v1/auth/passkeys/options/get'],
    summary: 'Answers a challenge for a passkey; the answer is the same kind for everybody',
    description: descriptions.passkeyChallenge,
    auth: 'public',
    responses: { 200: assertionOptions },
    errors: [],
    needs: ['keyring', 'relyingParty'],
  },
  passkeyLogin: {
    routes: ['POST /v1/auth/login/passkey'],
    summary: 'Signs in by passkey, without a name, a password or a code',
    description: descriptions.passkeyLogin,
    auth: 'public',
    guards: ['code', 'vault'],
    headers: z.object({ 'user-agent': z.optional(cutText(10_240)) }),
    body: z.strictObject({ passkey: assertion, session }),
    sessionCookie: 'given',
    responses: { 200: tokens },
    errors: ['not_same_origin', 'passkey_refused', 'account_deactivated', 'account_suspended'],
    needs: ['table', 'identity', 'keyring', 'passkeys'],
  },
  requestRecovery: {
    routes: ['POST /v1/auth/recovery/code'],
    summary: 'Mails a code that begins or finishes a recovery; the answer is the same for every address',
    description: descriptions.requestRecovery,
    auth: 'public',
    guards: ['mail'],
    body: z.strictObject({ email }),
    responses: { 204: null },
    errors: [],
    needs: ['table', 'keyring', 'challenge'],
  },
  beginRecovery: {
    routes: ['POST /v1/auth/recovery'],
    summary: 'Begins the 72 hours of a recovery without two-factor codes, with a mailed code',
    description: descriptions.beginRecovery,
    auth: 'public',
    guards: ['code'],
    body: z.strictObject({ code }),
    responses: { 200: message },
    errors: ['invalid_code', 'too_many_changes', 'account_suspended', 'conflict'],
    needs: ['table', 'keyring'],
  },
  finishRecovery: {
    routes: ['PUT /v1/auth/recovery'],
    summary: 'Finishes a recovery after 72 hours: sets a password and switches two-factor authentication off',
    description: descriptions.finishRecovery,
    auth: 'public',
    guards: ['code', 'vault'],
    body: z.strictObject({ code, password }),
    responses: { 204: null },
    errors: ['invalid_code', 'password_refused', 'account_suspended', 'conflict'],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp'],
  },
  stopRecovery: {
    routes: ['DELETE /v1/auth/recovery'],
    summary: 'Stops a recovery of your account, with any proof that you are its owner',
    description: descriptions.stopRecovery,
    auth: 'account',
    proof: 'own',
    guards: ['password', 'code', 'vault'],
    body: z.optional(z.strictObject({ password: optionalField(typedPassword), twofa: optionalField(twofa) })),
    responses: { 204: null },
    errors: ['wrong_password', 'reauthentication_required', ...secondFactorErrors, 'conflict'],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp'],
  },
  stopRecoveryByLink: {
    routes: ['POST /v1/auth/recovery/stop'],
    summary: 'Stops a recovery with the code of the link that each mail about it has',
    description: descriptions.stopRecoveryByLink,
    auth: 'public',
    guards: ['code'],
    body: z.strictObject({
      code: z.string().check(
        z.maxLength(TYPED_CODE_LENGTH, { abort: true }),
        z.overwrite(linkCode),
        z.refine((code) => /^[A-Za-z0-9_-]{46}$/.test(code)),
      ),
    }),
    responses: { 200: message },
    errors: ['invalid_code', 'conflict'],
    needs: ['table', 'keyring'],
  },
  listKeys: {
    routes: ['GET /v1/keys'],
    summary: 'Lists your application keys by their first and last characters',
    description: descriptions.listKeys,
    auth: 'account',
    responses: { 200: z.array(listedKey) },
    errors: [],
    needs: ['table', 'keyring'],
  },
  createKey: {
    routes: ['POST /v1/keys'],
    summary: 'Creates an application key, which is shown only once',
    description: descriptions.createKey,
    auth: 'account',
    proof: 'recent',
    headers: idempotencyHeaders,
    body: newKeyBody,
    responses: { 201: shownKey },
    errors: ['key_limit_reached', 'idempotency_key_reused', 'conflict'],
    needs: ['table', 'keyring'],
  },
  changeKey: {
    routes: ['PUT /v1/keys/{id}'],
    summary: 'Changes the name and the settings of an application key, also of the default key',
    description: descriptions.changeKey,
    auth: 'account',
    proof: 'recent',
    path: z.object({ id: pathText }),
    body: keyChangeBody,
    responses: { 200: ownedKey },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring'],
  },
  rotateKey: {
    routes: ['POST /v1/keys/{id}/rotate'],
    summary: 'Replaces an application key; the old one is refused from then on, or after a grace period',
    description: descriptions.rotateKey,
    auth: 'account',
    proof: 'recent',
    path: z.object({ id: pathText }),
    headers: idempotencyHeaders,
    body: z.optional(
      z.strictObject({
        graceSeconds: optionalField(z.int().check(z.gte(0), z.lte(GRACE_MOST_SECONDS))),
      }),
    ),
    responses: { 200: shownKey },
    errors: ['not_found', 'too_many_requests', 'idempotency_key_reused', 'conflict'],
    needs: ['table', 'keyring'],
  },
  deleteKey: {
    routes: ['DELETE /v1/keys/{id}'],
    summary: 'Revokes an application key for good',
    description: descriptions.deleteKey,
    auth: 'account',
    proof: 'recent',
    path: z.object({ id: pathText }),
    responses: { 204: null },
    errors: ['not_found', 'default_key_required', 'conflict'],
    needs: ['table', 'keyring'],
  },
  consume: {
    routes: ['POST /v1/usage'],
    summary: 'Spends units, once per request id',
    description: descriptions.consume,
    auth: 'key',
    headers: idempotencyHeaders,
    body: z.strictObject({ units, requestId: z.optional(requestId), tag, requires }),
    responses: { 200: z.object({ ...use, ...spender }) },
    errors: ['quota_exhausted', 'insufficient_scope', ...limitErrors],
    needs: ['table', 'keyring', 'renewals'],
  },
  consumeBatch: {
    routes: ['POST /v1/usage/batch'],
    summary: 'Spends units for up to 100 requests at once, each with an answer of its own',
    description: descriptions.consumeBatch,
    auth: 'key',
    headers: idempotencyHeaders,
    customers: 'each',
    body: z.strictObject({
      requests: z.array(customerRequest).check(z.minLength(1), z.maxLength(100)),
      tag,
      requires,
    }),
    responses: {
      200: z.object({
        // A batch of a service has them in each answer instead.
        ...someSpender,
        answers: z.array(
          // `type`, `detail`, `needed` and `retryAfter` come with a refusal. A union of two shapes would take another kilobyte of the bundle.
          // Failures other than refusals are those of a service's customer, and have no units left or used.
          z.object({
            requestId: z.optional(z.string()),
            status: z.literal([200, 401, 402, 403, 404, 429, 500, 503]),
            type: z.optional(z.string()),
            detail: z.optional(z.string()),
            needed: z.optional(z.int()),
            retryAfter: z.optional(z.int()),
            missing: z.optional(z.array(z.string())),
            left: z.optional(z.int()),
            used: z.optional(z.int()),
            keyLeft: z.optional(z.int()),
            ...replay,
            ...someSpender,
          }),
        ),
      }),
    },
    errors: ['insufficient_scope'],
    needs: ['table', 'keyring', 'renewals'],
  },
  reserve: {
    routes: ['POST /v1/usage/reservations'],
    summary: 'Takes units now for work whose cost is known afterwards',
    description: descriptions.reserve,
    auth: 'key',
    headers: idempotencyHeaders,
    body: z.strictObject({ ...leaseTerms, requires }),
    responses: { 201: z.object({ ...leased, units: z.optional(z.int()) }) },
    errors: ['quota_exhausted', 'insufficient_scope', ...limitErrors],
    needs: ['table', 'keyring', 'renewals'],
  },
  settleReservation: {
    routes: ['POST /v1/usage/reservations/{id}/settle'],
    summary: 'Keeps the units of a reservation that were used, and returns the rest',
    description: descriptions.settleReservation,
    auth: 'key',
    path: z.object({ id: pathText }),
    headers: idempotencyHeaders,
    body: request,
    responses: { 200: settled },
    errors: ['not_found', 'reservation_ended'],
    needs: ['table', 'keyring', 'renewals'],
  },
  returnReservation: {
    routes: ['DELETE /v1/usage/reservations/{id}'],
    summary: 'Gives all units of a reservation back',
    description: descriptions.returnReservation,
    auth: 'key',
    path: z.object({ id: pathText }),
    headers: idempotencyHeaders,
    responses: { 200: settled },
    errors: ['not_found', 'reservation_ended'],
    needs: ['table', 'keyring', 'renewals'],
  },
  lease: {
    routes: ['POST /v1/usage/leases'],
    summary: 'Takes units that a process spends in its own memory',
    description: descriptions.lease,
    auth: 'key',
    headers: idempotencyHeaders,
    body: z.strictObject({
      ...leaseTerms,
      requires,
      unreported: optionalField(z.literal(['return', 'charge'])),
    }),
    responses: { 201: z.object(leased) },
    // A lease asks for no more than a burst.
    errors: ['quota_exhausted', 'insufficient_scope', 'key_budget_exhausted', 'rate_limited'],
    needs: ['table', 'keyring', 'renewals'],
  },
  renewLease: {
    routes: ['POST /v1/usage/leases/{id}/renew'],
    summary: 'Reports what was used of a lease, and keeps it with new units',
    description: descriptions.renewLease,
    auth: 'key',
    path: z.object({ id: pathText }),
    headers: idempotencyHeaders,
    body: z.strictObject({ ...leaseTerms, use: optionalField(leaseUse) }),
    responses: { 200: z.object({ ...leased, covered: z.int() }) },
    errors: ['not_found', 'lease_ended'],
    needs: ['table', 'keyring', 'renewals'],
  },
  returnLease: {
    routes: ['POST /v1/usage/leases/{id}/return'],
    summary: 'Reports what was used of a lease, and returns the rest',
    description: descriptions.returnLease,
    auth: 'key',
    path: z.object({ id: pathText }),
    headers: idempotencyHeaders,
    body: z.strictObject({ use: optionalField(leaseUse), requestId: z.optional(requestId) }),
    responses: { 200: z.object({ ...leased, covered: z.int() }) },
    errors: ['not_found', 'lease_ended'],
    needs: ['table', 'keyring', 'renewals'],
  },
  balance: {
    routes: ['GET /v1/usage/balance'],
    summary: 'Reads the units left, with an application key',
    description: descriptions.balance,
    auth: 'key',
    responses: {
      200: z.object({
        left: z.int(),
        used: z.int(),
        keyLeft: z.optional(z.int()),
        reserved: z.int(),
        expiring: z.optional(z.array(z.object({ units: z.int(), at: z.iso.datetime() }))),
        ...spender,
      }),
    },
    errors: [],
    needs: ['table', 'keyring'],
  },
  usage: {
    routes: ['GET /v1/usage'],
    summary: 'Reads the units used, by day and application key',
    description: descriptions.usage,
    auth: 'account',
    query: z.strictObject({ from: optionalField(calendarDay()), to: optionalField(calendarDay()) }),
    responses: {
      200: z.object({
        allusage: z.int(),
        days: z.array(
          z.object({
            day: z.string(),
            units: z.int(),
            keys: z.array(
              z.object({
                id: z.nullable(z.string()),
                units: z.int(),
                tags: z.optional(z.array(z.object({ tag: z.nullable(z.string()), units: z.int() }))),
              }),
            ),
          }),
        ),
      }),
    },
    errors: [],
    needs: ['table'],
  },
  changeCard: {
    routes: ['PUT /v1/user/card', 'PUT /v1/user/card/'],
    summary: 'Proves another card and makes it the default one, once in 24 hours',
    description: descriptions.changeCard,
    auth: 'account',
    guards: ['card'],
    headers: idempotencyHeaders,
    body: z.strictObject({ paymentMethod, address: z.union([storedAddress, newAddress]) }),
    responses: { 202: z.object({ status: z.literal('pending'), ...replay }), 204: null },
    errors: [...proveCardErrors, 'card_change_not_allowed', 'card_changed_recently', 'no_address'],
    needs: ['table', 'payments', 'paymentScope', 'renewals', 'keyring'],
  },
  signUpForBundle: {
    routes: ['POST /v1/user/bundle'],
    summary: 'Buys the first bundle and keeps the card for renewals',
    description: descriptions.signUpForBundle,
    auth: 'account',
    guards: ['card'],
    headers: idempotencyHeaders,
    body: z.strictObject({ name: planName, paymentMethod, address: newAddress, coupon }),
    responses: { 202: pending, 204: null },
    errors: ['bundle_held', 'invalid_payment_method', ...purchaseErrors],
    needs: ['table', 'payments', 'paymentScope', 'keyring'],
  },
  changeBundle: {
    routes: ['PUT /v1/user/bundle/{bundleName}'],
    summary: 'Changes to another bundle: charges its price and adds its units to what is left',
    description: descriptions.changeBundle,
    auth: 'account',
    guards: ['card'],
    path: z.object({ bundleName: planName }),
    headers: idempotencyHeaders,
    body: z.optional(z.strictObject({ coupon })),
    responses: { 202: pending, 204: null },
    errors: ['no_bundle', 'bundle_held', 'no_card', ...purchaseErrors],
    needs: ['table', 'payments', 'paymentScope', 'keyring'],
  },
  buy: {
    routes: ['POST /v1/user/buy'],
    summary: 'Refills your bundle: charges its price and adds its units to what is left',
    description: descriptions.buy,
    auth: 'account',
    guards: ['card'],
    headers: idempotencyHeaders,
    body: z.optional(z.strictObject({ coupon })),
    responses: { 201: null, 202: pending },
    errors: ['no_bundle', 'bundle_removed', 'no_card', ...purchaseErrors],
    needs: ['table', 'payments', 'paymentScope', 'keyring'],
  },
  getPurchase: {
    routes: ['GET /v1/purchase/{id}', 'GET /v1/renewal/{id}'],
    summary: 'Reads the state of one purchase or renewal, with the secret to finish its 3-D Secure',
    description: descriptions.getPurchase,
    auth: 'account',
    path: z.object({ id: pathText }),
    responses: {
      200: z.object({
        id: z.string(),
        bundle: z.string(),
        amount: z.number(),
        state: z.enum(['pending', 'action_required', 'paid', 'declined', 'abandoned']),
        clientSecret: z.nullable(z.string()),
        paymentMethod: z.nullable(z.string()),
      }),
    },
    errors: ['not_found'],
    needs: ['table', 'payments'],
  },
  setRenewal: {
    routes: ['PUT /v1/user/renewal'],
    summary: 'Chooses when auto-renewal buys which bundle, and limits what it may charge, and how often',
    description: descriptions.setRenewal,
    auth: 'account',
    body: z
      .strictObject({
        monthlyCap: optionalField(
          z.nullable(
            z
              .number()
              .check(
                z.gte(0),
                z.lte(amountOf(MAX_CAP_CENTS, CURRENCY)),
                z.refine(isAmount, `must have no more decimals than ${CURRENCY} has`),
              ),
          ),
        ),
        maxPerHour: optionalField(z.nullable(maxRenewals)),
        maxPerDay: optionalField(z.nullable(maxRenewals)),
        below: optionalField(z.nullable(below)),
        bundle: optionalField(z.nullable(planName)),
      })
      .check(z.refine(hasASetting, { path: ['monthlyCap'], error: 'or another setting is required' })),
    responses: { 204: null },
    errors: [],
    needs: ['table', 'renewals'],
  },
  useRenewalLink: {
    routes: ['POST /v1/user/renewal/link'],
    summary: 'Stops auto-renewal, or allows more renewals, with the code of a mailed link',
    description: descriptions.useRenewalLink,
    auth: 'public',
    guards: ['code'],
    body: z.strictObject({
      code: z.string().check(
        z.maxLength(TYPED_CODE_LENGTH, { abort: true }),
        z.overwrite(linkCode),
        z.refine((code) => /^[A-Za-z0-9_-]{54}$/.test(code)),
      ),
    }),
    responses: { 200: message },
    errors: ['invalid_code'],
    needs: ['table', 'keyring'],
  },
  listInvoices: {
    routes: ['GET /v1/invoice/list'],
    summary: 'Lists your payments, newest first',
    description: descriptions.listInvoices,
    auth: 'account',
    query: pageOf(z.string().check(z.regex(/^[0-9a-f]{24}$/))),
    responses: { 200: z.array(z.extend(invoice, { id: z.string(), paidDay: z.string() })) },
    errors: [],
    needs: ['table'],
  },
  getInvoice: {
    routes: ['GET /v1/invoice/{id}'],
    summary: 'Reads one payment with its card and the link to its receipt',
    description: descriptions.getInvoice,
    auth: 'account',
    path: z.object({ id: pathText }),
    responses: {
      200: z.extend(invoice, {
        paidDay: z.int(),
        description: z.string(),
        coupon: z.optional(z.object({ code: z.string(), discount: z.number(), units: z.int() })),
        payment: z.object({
          card: z.object({ brand: z.string(), last4: z.string() }),
          receiptUrl: z.nullable(z.string()),
        }),
      }),
    },
    errors: ['not_found'],
    caches: true,
    needs: ['table', 'payments'],
  },
  listLedger: {
    routes: ['GET /v1/ledger'],
    summary: 'Reads your statement, oldest first: every credit and debit in money and units',
    description: descriptions.listLedger,
    auth: 'account',
    query: pageOf(z.string().check(z.regex(/^(?:0|[1-9]\d{0,11})$/))),
    responses: {
      200: z.array(
        z.object({
          seq: z.int(),
          at: z.iso.datetime(),
          kind: z.enum(ledgerKinds),
          units: z.int(),
          amount: z.number(),
          currency: z.string(),
          purchaseId: z.optional(z.string()),
          expiresAt: z.optional(z.iso.datetime()),
          coupon: z.optional(z.string()),
          discount: z.optional(z.number()),
        }),
      ),
    },
    errors: [],
    needs: ['table'],
  },
})
