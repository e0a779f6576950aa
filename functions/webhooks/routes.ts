import * as z from 'zod/mini'
import { cutText } from '../http/cut-text.ts'
import { markdown } from '../http/markdown.ts'
import { place } from '../http/route.ts'

export const webhooks = place('webhooks', {
  stripe: {
    routes: ['POST /webhooks/stripe'],
    summary: 'Receives Stripe webhooks',
    description: markdown(
      'For Stripe only. The signature is checked over the raw body with every secret in force: two while',
      'secrets rotate, otherwise one.',
      '',
      '- 200: the event is processed, or needs no processing. A repeated event changes nothing more.',
      '- 400 `webhook_refused`: the signature is missing, wrong or more than five minutes off, or the event is of the',
      'other mode (live or test) or of another Stripe account.',
      '- 413: the event is larger than 1 MiB.',
      '- 503: a service behind Bursar did not answer, or Stripe does not show the object of the event. Stripe sends the',
      'event again.',
    ),
    auth: 'public',
    headers: z.object({ 'stripe-signature': z.optional(cutText(4096)) }),
    raw: true,
    responses: { 200: z.object({ received: z.literal(true) }) },
    errors: ['webhook_refused'],
    needs: ['table', 'payments', 'paymentScope', 'webhookSecrets'],
  },
})
