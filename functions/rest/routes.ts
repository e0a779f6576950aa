import * as z from 'zod/mini'
import { email, label, newEmail, password, username } from '../../core/account/fields.ts'
import { pathText } from '../http/cut-text.ts'
import { optionalField } from '../http/optional-field.ts'
import { idempotencyHeaders, replay } from '../http/payment-schemas.ts'
import { place } from '../http/route.ts'
import { descriptions } from './descriptions.ts'

/** Skylink's account. */
const account = z.object({
  allusage: z.int(),
  created: z.iso.datetime(),
  email: z.string(),
  lastlogin: z.nullable(z.iso.datetime()),
  role: z.enum(['free', 'paid']),
  status: z.enum(['verified', 'unverified']),
  type: z.enum(['invoice', 'card']),
  update: z.iso.datetime(),
  username: z.string(),
})

/** Skylink's envelope of a success: `status` 1 and the `content`. */
const envelope = z.object({ status: z.literal(1), content: account })

/** Skylink's application key. */
const app = z.object({
  appid: z.string(),
  appname: z.string(),
  created: z.iso.datetime(),
  update: z.iso.datetime(),
  deleted: z.literal(false),
  parent: z.literal('root'),
  corsurl: z.string(),
})

const appEnvelope = z.object({ status: z.literal(1), content: app })

/** Domains as a page lists them: printable ASCII without spaces. */
const corsUrl = z.string().check(z.regex(/^[!-~]{1,255}$/, 'must be 1 to 255 visible ASCII characters'))

const hasSomething = (body: object) => Object.values(body).some((value) => value !== undefined)

export const rest = place('rest', {
  createUser: {
    routes: ['POST /rest/users', 'POST /rest/users/'],
    summary: 'Registers an account and mails the code that confirms its address',
    description: descriptions.createUser,
    auth: 'public',
    guards: ['signup', 'mail', 'password'],
    body: z.strictObject({ username, email: newEmail, password }),
    form: true,
    responses: { 201: envelope },
    errors: ['username_taken', 'email_taken'],
    needs: ['table', 'keyring', 'mail', 'challenge', 'mailDomains'],
  },
  getUser: {
    routes: ['GET /rest/users/{username}'],
    summary: 'Reads your account',
    description: descriptions.getUser,
    auth: 'account',
    path: z.object({ username: pathText }),
    responses: { 200: envelope },
    errors: ['not_found'],
    needs: ['table'],
  },
  updateUser: {
    routes: ['PUT /rest/users/{username}'],
    summary: 'Changes your username, your e-mail address or both',
    description: descriptions.updateUser,
    auth: 'account',
    proof: 'recent',
    guards: ['mail'],
    path: z.object({ username: pathText }),
    body: z
      .strictObject({ username: optionalField(username), email: optionalField(email) })
      .check(z.refine(hasSomething, { path: ['username'], error: 'or email is required' })),
    form: true,
    responses: { 200: envelope },
    errors: ['not_found', 'username_taken', 'too_many_changes', 'conflict'],
    needs: ['table', 'mail', 'keyring', 'mailDomains'],
  },
  createApp: {
    routes: ['POST /rest/apps', 'POST /rest/apps/'],
    summary: 'Creates an application key, which is shown only once, in the shape of Skylink',
    description: descriptions.createApp,
    auth: 'account',
    proof: 'recent',
    headers: idempotencyHeaders,
    body: z.strictObject({ appname: label, corsurl: optionalField(corsUrl) }),
    form: true,
    responses: {
      201: z.object({ status: z.literal(1), content: z.extend(app, { key: z.string() }), ...replay }),
    },
    errors: ['key_limit_reached', 'idempotency_key_reused', 'conflict'],
    needs: ['table', 'keyring'],
  },
  getApp: {
    routes: ['GET /rest/apps/{apiKey}'],
    summary: 'Reads an application key in the shape of Skylink',
    description: descriptions.getApp,
    auth: 'account',
    path: z.object({ apiKey: pathText }),
    responses: { 200: appEnvelope },
    errors: ['not_found'],
    needs: ['table', 'keyring'],
  },
  updateApp: {
    routes: ['PUT /rest/apps/{apiKey}'],
    summary: 'Changes the name or the domain of an application key',
    description: descriptions.updateApp,
    auth: 'account',
    proof: 'recent',
    path: z.object({ apiKey: pathText }),
    body: z
      .strictObject({ appname: optionalField(label), corsurl: optionalField(z.nullable(corsUrl)) })
      .check(z.refine(hasSomething, { path: ['appname'], error: 'or corsurl is required' })),
    form: true,
    responses: { 200: appEnvelope },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring'],
  },
  deleteApp: {
    routes: ['DELETE /rest/apps/{apiKey}'],
    summary: 'Revokes an application key for good',
    description: descriptions.deleteApp,
    auth: 'account',
    proof: 'recent',
    path: z.object({ apiKey: pathText }),
    responses: { 200: z.object({ status: z.literal(1) }) },
    errors: ['not_found', 'default_key_required', 'conflict'],
    needs: ['table', 'keyring'],
  },
})
