import type Stripe from 'stripe'
import { faultsOf } from './schema.ts'
import type { StripeObject } from './state.ts'
import type { Answers, ErrorBody } from './wire.ts'

/** The double checks its own output: every answer and event matches stripe-node's declarations. */

/** @throws Error that names the faults. */
export function checkAnswer(answer: StripeObject | Stripe.ApiList<StripeObject>): void {
  if (answer.object === 'list') {
    for (const item of answer.data) checkAnswer(item)
    return
  }
  if (answer.object === 'event') checkEvent(answer)
  else refuse(faultsOf(kindOf(answer), answer))
}

/** @throws Error that names the faults of the event or of its object. */
export function checkEvent(event: Stripe.EventBase): void {
  refuse(faultsOf('event', event))
  checkAnswer(event.data.object as StripeObject)
}

/** @throws Error that names the faults. */
export function checkError(error: ErrorBody): void {
  refuse(faultsOf('error', error))
}

function kindOf(answer: Exclude<StripeObject, Stripe.EventBase>): keyof Answers {
  if (answer.object === 'radar.early_fraud_warning') return 'early_fraud_warning'
  return 'deleted' in answer && answer.deleted ? 'deleted_customer' : answer.object
}

function refuse(faults: string[]): void {
  if (faults.length > 0)
    throw new Error(`The Stripe double's answer does not match Stripe's types: ${faults.join('; ')}`)
}
