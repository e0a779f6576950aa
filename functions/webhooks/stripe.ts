import { receiveWebhook } from '../../core/webhooks/events.ts'
import { endpoint } from '../http/endpoint.ts'
import { webhooks } from './routes.ts'

export const handler = endpoint(webhooks.stripe, async ({ body, deps, headers }) => {
  await receiveWebhook(deps, { body, signature: headers['stripe-signature'] })
  return { received: true as const }
})
