import * as z from 'zod/mini'
import { place } from '../http/route.ts'

export const webhooks = place('webhooks', {
  stripe: {
    routes: ['POST /webhooks/stripe'],
    summary: 'Take a signed event of Stripe',
    auth: 'public',
    headers: z.object({ 'stripe-signature': z.optional(z.string()) }),
    raw: true,
    responses: { 200: z.object({ received: z.literal(true) }) },
    errors: ['webhook_refused'],
    needs: ['table', 'payments', 'webhooks'],
  },
})
