import * as z from 'zod/mini'
import { fullName, password, twofa, typedPassword } from '../../core/account/fields.ts'
import { assertion } from '../../core/credentials/passkey-shapes.ts'
import { credentials, emcpUser, message, oneFactor, secondFactorErrors } from '../http/account-schemas.ts'
import { pathText } from '../http/cut-text.ts'
import { optionalField } from '../http/optional-field.ts'
import { pageLimit, pageQuery } from '../http/page-query.ts'
import {
  addressLine,
  countryCode,
  customer,
  idempotencyHeaders,
  paymentMethod,
  proveCardErrors,
  replay,
  stripeCard,
} from '../http/payment-schemas.ts'
import { place } from '../http/route.ts'
import { descriptions } from './descriptions.ts'

const notice = z.object({
  _id: z.string(),
  messageType: z.string(),
  message: z.string(),
  createdAt: z.iso.datetime(),
})

/** A field of an address that can be taken away. */
const spareLine = optionalField(z.nullable(addressLine))

const nullableText = z.nullable(z.string())

const billingSettings = z.object({
  _id: z.string(),
  user: z.string(),
  address1: nullableText,
  address2: nullableText,
  city: nullableText,
  company: nullableText,
  country: nullableText,
  state: nullableText,
  zip: nullableText,
  taxId: nullableText,
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
})

const invoice = z.object({
  _id: z.string(),
  invoiceId: z.string(),
  user: z.string(),
  status: z.enum(['paid', 'partially_refunded', 'refunded', 'disputed']),
  amount: z.int(),
  currency: z.string(),
  invoicePdf: nullableText,
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
})

const bothPasswords = (body: { oldPassword?: unknown; newPassword?: unknown }) =>
  (body.oldPassword === undefined) === (body.newPassword === undefined)

export const api = place('api', {
  getCurrentUser: {
    routes: ['GET /api/users/current'],
    summary: 'Reads your account',
    description: descriptions.getCurrentUser,
    auth: 'account',
    responses: { 200: emcpUser },
    errors: [],
    needs: ['table'],
  },
  updateCurrentUser: {
    routes: ['PUT /api/users/current'],
    summary: 'Changes your full name, or your password, which ends every session',
    description: descriptions.updateCurrentUser,
    auth: 'account',
    proof: 'own',
    guards: ['password', 'code', 'vault'],
    body: z
      .strictObject({
        name: optionalField(fullName),
        oldPassword: optionalField(typedPassword),
        newPassword: optionalField(password),
        twofa: optionalField(twofa),
      })
      .check(
        z.refine(bothPasswords, { path: ['newPassword'], error: 'goes with oldPassword, both or neither' }),
      ),
    responses: { 200: z.pick(emcpUser, { email: true, name: true, createdAt: true, _id: true }) },
    errors: ['wrong_password', 'password_locked', 'password_refused', ...secondFactorErrors],
    refusalAfter: 'session_ended',
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp'],
  },
  deactivate: {
    routes: ['PUT /api/users/current/deactivate'],
    summary: 'Blocks your account and keeps its data; every session ends',
    description: descriptions.deactivate,
    auth: 'account',
    proof: 'recent',
    responses: { 200: message },
    errors: ['conflict'],
    refusalAfter: 'account_deactivated',
    needs: ['table', 'payments', 'paymentScope'],
  },
  restore: {
    routes: ['POST /api/users/restore'],
    summary: 'Makes a deactivated account active again',
    description: descriptions.restore,
    auth: 'public',
    guards: ['password', 'code', 'vault'],
    body: z.safeExtend(credentials, { passkey: optionalField(assertion) }).check(oneFactor),
    responses: { 200: message },
    errors: [
      'invalid_credentials',
      'password_locked',
      'password_refused',
      'email_unconfirmed',
      ...secondFactorErrors,
      'passkey_refused',
      'account_suspended',
    ],
    needs: ['table', 'identity', 'secrets', 'keyring', 'totp', 'passkeys', 'passwordHashes', 'challenge'],
  },
  notifications: {
    routes: ['GET /api/users/current/notifications'],
    summary: 'Lists your notices, newest first',
    description: descriptions.notifications,
    auth: 'account',
    query: z.strictObject({
      limit: pageLimit,
      cursor: z.optional(z.string().check(z.regex(/^[0-9a-f]{24}$/))),
    }),
    responses: { 200: z.array(notice) },
    errors: [],
    needs: ['table'],
  },
  verifyPayment: {
    routes: ['POST /api/users/current/verify-payment'],
    summary: 'Proves a card with a small amount that is held and released, and puts it on file',
    description: descriptions.verifyPayment,
    auth: 'account',
    guards: ['card'],
    headers: idempotencyHeaders,
    body: z.strictObject({ paymentMethod }),
    responses: {
      200: z.object({ status: z.literal('ok'), ...replay }),
      202: z.object({ status: z.literal('pending'), ...replay }),
    },
    errors: [...proveCardErrors],
    needs: ['table', 'payments', 'paymentScope', 'renewals', 'keyring'],
  },
  listPaymentMethods: {
    routes: ['GET /api/users/current/list-payment-methods'],
    summary: "Lists your cards in Stripe's shape",
    description: descriptions.listPaymentMethods,
    auth: 'account',
    responses: {
      200: z.object({
        object: z.literal('list'),
        data: z.array(stripeCard),
        has_more: z.boolean(),
        url: z.string(),
      }),
    },
    errors: [],
    needs: ['table'],
  },
  deletePaymentMethod: {
    routes: ['DELETE /api/users/current/payment-method/{id}'],
    summary: 'Removes a card from your account',
    description: descriptions.deletePaymentMethod,
    auth: 'account',
    path: z.object({ id: pathText }),
    responses: { 204: null },
    errors: ['not_found', 'card_in_use', 'conflict'],
    needs: ['table', 'payments'],
  },
  retrieve: {
    routes: ['GET /api/users/current/retrieve'],
    summary: "Reads your payment account in Stripe's shape",
    description: descriptions.retrieve,
    auth: 'account',
    responses: { 200: customer },
    errors: ['not_found'],
    needs: ['table'],
  },
  getBillingSettings: {
    routes: ['GET /api/billing-settings'],
    summary: 'Reads your billing address and tax id',
    description: descriptions.getBillingSettings,
    auth: 'account',
    responses: { 200: billingSettings },
    errors: [],
    needs: ['table'],
  },
  setBillingSettings: {
    routes: ['PUT /api/billing-settings'],
    summary: 'Changes your billing address and tax id',
    description: descriptions.setBillingSettings,
    auth: 'account',
    body: z.strictObject({
      address1: optionalField(addressLine),
      address2: spareLine,
      city: optionalField(addressLine),
      company: spareLine,
      country: optionalField(countryCode),
      state: spareLine,
      zip: optionalField(addressLine),
      taxId: optionalField(
        z.nullable(
          z
            .string()
            .check(z.regex(/^[A-Za-z0-9][A-Za-z0-9 .\-/]{0,49}$/, 'must be letters, digits and . - / only')),
        ),
      ),
    }),
    responses: { 200: billingSettings },
    errors: ['conflict'],
    needs: ['table'],
  },
  billingHistory: {
    routes: ['GET /api/teams/{id}/billing-history'],
    summary: 'Lists your payments in the shape of EMCP, newest first',
    description: descriptions.billingHistory,
    auth: 'account',
    path: z.object({ id: pathText }),
    query: pageQuery,
    responses: { 200: z.array(invoice) },
    errors: ['not_found'],
    needs: ['table'],
  },
  lastInvoice: {
    routes: ['GET /api/teams/{id}/last-invoice'],
    summary: 'Reads your last payment in the shape of EMCP, with the link to its receipt',
    description: descriptions.lastInvoice,
    auth: 'account',
    path: z.object({ id: pathText }),
    responses: { 200: invoice },
    errors: ['not_found'],
    caches: true,
    needs: ['table', 'payments'],
  },
})
