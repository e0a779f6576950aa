import * as z from 'zod/mini'
import { place } from '../http/route.ts'

/** EMCP's account (seed 000); `status` 0 active, 1 suspended, 2 deactivated. */
const account = z.object({
  _id: z.string(),
  email: z.string(),
  name: z.string(),
  createdAt: z.iso.datetime(),
  balance: z.number(),
  status: z.literal([0, 1, 2]),
  emailVerified: z.boolean(),
})

export const api = place('api', {
  getCurrentUser: {
    routes: ['GET /api/users/current'],
    summary: 'Read your account',
    auth: 'account',
    responses: { 200: account },
    errors: [],
    needs: ['table'],
  },
})
