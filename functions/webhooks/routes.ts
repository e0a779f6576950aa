import * as z from 'zod/mini'
import { markdown } from '../http/markdown.ts'
import { place } from '../http/route.ts'

export const webhooks = place('webhooks', {
  stripe: {
    routes: ['POST /webhooks/stripe'],
    summary: 'Receives Stripe webhooks',
    description: markdown(
      'For Stripe alone. The signature is checked over the raw body with each of the secrets in force, of which there are',
      'two while they rotate.',
      '',
      '- 200: the event has done its work, or needs none. An event that comes again does nothing more.',
      '- 400 `webhook_refused`: the signature is missing, wrong or more than five minutes off, or the event is of the',
      'other mode (live or test) or of another Stripe account.',
      '- 503: a service behind Bursar did not answer. Stripe sends the event again.',
    ),
    auth: 'public',
    headers: z.object({ 'stripe-signature': z.optional(z.string()) }),
    raw: true,
    responses: { 200: z.object({ received: z.literal(true) }) },
    errors: ['webhook_refused'],
    needs: ['table', 'payments', 'webhooks'],
  },
})
