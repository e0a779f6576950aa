import * as z from 'zod/mini'
import { email, password, username } from '../../core/account/fields.ts'
import { pathText } from '../http/cut-text.ts'
import { optionalField } from '../http/optional-field.ts'
import { place } from '../http/route.ts'
import { descriptions } from './descriptions.ts'

/** Skylink's account. */
const account = z.object({
  allusage: z.number(),
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

const hasSomething = (body: object) => Object.values(body).some((value) => value !== undefined)

export const rest = place('rest', {
  createUser: {
    routes: ['POST /rest/users', 'POST /rest/users/'],
    summary: 'Registers an account and mails the code that confirms its address',
    description: descriptions.createUser,
    auth: 'public',
    sourceLimit: 'register',
    body: z.strictObject({ username, email, password }),
    form: true,
    responses: { 201: envelope },
    errors: ['username_taken', 'email_taken', 'password_refused', 'password_locked'],
    needs: ['table', 'identity', 'keyring', 'mail'],
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
    path: z.object({ username: pathText }),
    body: z
      .strictObject({ username: optionalField(username), email: optionalField(email) })
      .check(z.refine(hasSomething, { path: ['username'], error: 'or email is required' })),
    form: true,
    responses: { 200: envelope },
    errors: ['not_found', 'username_taken', 'email_taken', 'too_many_changes', 'conflict'],
    needs: ['table', 'mail', 'keyring'],
  },
})
