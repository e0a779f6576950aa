import type Stripe from 'stripe'
import { faultsOf } from './schema.ts'
import type { StripeObject } from './state.ts'
import type { Answers, ErrorBody } from './wire.ts'

/** The double against itself: nothing leaves it that stripe-node's declarations do not allow. */

/** @throws Error that names what is wrong. */
export function checkAnswer(answer: StripeObject | Stripe.ApiList<StripeObject>): void {
  if (answer.object === 'list') {
    for (const item of answer.data) checkAnswer(item)
    return
  }
  if (answer.object === 'event') checkEvent(answer)
  else refuse(faultsOf(kindOf(answer), answer))
}

/** @throws Error that names what is wrong with the event or the object in it. */
export function checkEvent(event: Stripe.EventBase): void {
  refuse(faultsOf('event', event))
  checkAnswer(event.data.object as StripeObject)
}

/** @throws Error that names what is wrong. */
export function checkError(error: ErrorBody): void {
  refuse(faultsOf('error', error))
}

function kindOf(answer: Exclude<StripeObject, Stripe.EventBase>): keyof Answers {
  if (answer.object === 'radar.early_fraud_warning') return 'early_fraud_warning'
  return 'deleted' in answer && answer.deleted ? 'deleted_customer' : answer.object
}

function refuse(faults: string[]): void {
  if (faults.length > 0) throw new Error(`The Stripe double's answer is not Stripe's: ${faults.join('; ')}`)
}
