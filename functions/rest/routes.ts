import * as z from 'zod/mini'
import { email, password, username } from '../../core/account/fields.ts'
import { place } from '../http/route.ts'

/** Skylink's account (seed 003). */
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

/** The seed's envelope: `status` 1 shows `content`. */
const envelope = z.object({ status: z.literal(1), content: account })

export const rest = place('rest', {
  createUser: {
    routes: ['POST /rest/users', 'POST /rest/users/'],
    summary: 'Register an account and mail the code that confirms its address',
    auth: 'public',
    body: z.strictObject({ username, email, password }),
    form: true,
    responses: { 201: envelope },
    errors: ['username_taken', 'email_taken', 'password_refused'],
    needs: ['table', 'identity', 'keyring', 'mail'],
  },
  getUser: {
    routes: ['GET /rest/users/{username}'],
    summary: 'Read your own account',
    auth: 'account',
    path: z.object({ username: z.string() }),
    responses: { 200: envelope },
    errors: ['not_found'],
    needs: ['table'],
  },
})
