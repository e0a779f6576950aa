import * as z from 'zod/mini'
import { reasonText } from '../../core/operators/reason.ts'
import { emcpUser } from '../http/account-schemas.ts'
import { accountPath as path } from '../http/operator-schemas.ts'
import { optionalField } from '../http/optional-field.ts'
import { pageQuery } from '../http/page-query.ts'
import { idempotencyHeaders, replay } from '../http/payment-schemas.ts'
import { place } from '../http/route.ts'
import { descriptions } from './descriptions.ts'

const invoice = z.object({
  _id: z.string(),
  user: z.string(),
  amount: z.number(),
  currency: z.string(),
  status: z.enum(['paid', 'partially_refunded', 'refunded', 'disputed']),
  createdAt: z.iso.datetime(),
})

/** EMCP's clients send no body. */
const onlyReason = z.optional(z.strictObject({ reason: optionalField(reasonText) }))

/** EMCP's admin API, for programs with an admin key. */
export const admin = place('admin', {
  listUsers: {
    routes: ['GET /admin/api/users'],
    summary: 'Lists the accounts, newest first',
    description: descriptions.listUsers,
    auth: 'admin-key',
    role: 'read',
    query: pageQuery,
    responses: { 200: z.array(emcpUser) },
    errors: [],
    needs: ['table', 'keyring', 'listing'],
  },
  suspendUser: {
    routes: ['PUT /admin/api/users/{id}/suspend'],
    summary: 'Suspends an account: from the next request on its tokens and keys are refused',
    description: descriptions.suspendUser,
    auth: 'admin-key',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 200: emcpUser },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring', 'payments', 'paymentScope'],
  },
  activateUser: {
    routes: ['PUT /admin/api/users/{id}/activate'],
    summary: 'Ends a suspension: the account is again what it was before',
    description: descriptions.activateUser,
    auth: 'admin-key',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 200: emcpUser },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring'],
  },
  listInvoices: {
    routes: ['GET /admin/api/invoices'],
    summary: 'Lists the payments of all accounts, newest first',
    description: descriptions.listInvoices,
    auth: 'admin-key',
    role: 'read',
    query: pageQuery,
    responses: { 200: z.array(invoice) },
    errors: [],
    needs: ['table', 'keyring', 'listing'],
  },
  listUserInvoices: {
    routes: ['GET /admin/api/users/{id}/invoices'],
    summary: 'Lists the payments of an account, newest first',
    description: descriptions.listUserInvoices,
    auth: 'admin-key',
    role: 'read',
    path,
    query: pageQuery,
    responses: { 200: z.array(invoice) },
    errors: ['not_found'],
    needs: ['table', 'keyring'],
  },
  defaultQuota: {
    routes: ['GET /admin/api/quotas/default'],
    summary: 'Shows how many units accounts get: in the trial, and with each plan',
    description: descriptions.defaultQuota,
    auth: 'admin-key',
    role: 'read',
    responses: {
      200: z.object({
        trialUnits: z.int(),
        plans: z.array(
          z.object({
            name: z.string(),
            units: z.int(),
            lowPercent: z.number(),
            renewalPercent: z.number(),
          }),
        ),
      }),
    },
    errors: [],
    needs: ['table', 'keyring'],
  },
  getQuota: {
    routes: ['GET /admin/api/users/{id}/quota'],
    summary: 'Shows how many units an account has left and has used',
    description: descriptions.getQuota,
    auth: 'admin-key',
    role: 'read',
    path,
    responses: {
      200: z.object({
        left: z.int(),
        used: z.int(),
        reserved: z.int(),
        owed: z.int(),
        bundle: z.nullable(z.string()),
        bundleUnits: z.int(),
      }),
    },
    errors: ['not_found'],
    needs: ['table', 'keyring'],
  },
  setQuota: {
    routes: ['PUT /admin/api/users/{id}/quota'],
    summary: 'Sets how many units an account has left, by a grant or a take',
    description: descriptions.setQuota,
    auth: 'admin-key',
    role: 'support',
    headers: idempotencyHeaders,
    path,
    body: z.strictObject({
      left: z.int().check(z.minimum(0), z.maximum(1_000_000_000)),
      reason: optionalField(reasonText),
    }),
    responses: { 200: z.object({ left: z.int(), owed: z.int(), ...replay }) },
    errors: ['not_found', 'conflict', 'idempotency_key_reused'],
    needs: ['table', 'keyring'],
  },
})
