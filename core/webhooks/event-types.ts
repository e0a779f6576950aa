/**
 * The events that the webhook endpoint subscribes to at Stripe, by kind of object. `events.ts` handles every
 * kind; the README and the deployment print the list.
 */
export const eventTypes = {
  payment_intent: [
    'payment_intent.succeeded',
    'payment_intent.amount_capturable_updated',
    'payment_intent.requires_action',
    'payment_intent.payment_failed',
    'payment_intent.canceled',
  ],
  payment_method: [
    'payment_method.attached',
    'payment_method.detached',
    'payment_method.updated',
    'payment_method.automatically_updated',
  ],
  customer: ['customer.updated', 'customer.deleted'],
  refund: ['refund.created', 'refund.updated', 'refund.failed'],
  charge: ['charge.refunded'],
  dispute: [
    'charge.dispute.created',
    'charge.dispute.closed',
    'charge.dispute.funds_withdrawn',
    'charge.dispute.funds_reinstated',
  ],
  'radar.early_fraud_warning': ['radar.early_fraud_warning.created', 'radar.early_fraud_warning.updated'],
} as const

/** The kind of an object, as in Stripe's field `object`. */
export type ObjectKind = keyof typeof eventTypes

export const subscribedEvents: readonly string[] = Object.values(eventTypes).flat()
