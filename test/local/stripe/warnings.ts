import type Stripe from 'stripe'
import type { Turn } from './turn.ts'

/** Makes the fraud warnings of a charge that is fully refunded or disputed no longer actionable. */
export function settleWarnings(turn: Turn, taken: Stripe.Charge): void {
  for (const warning of Object.values(turn.state.fraudWarnings)) {
    const isSettled = taken.refunded || taken.disputed
    if (warning.charge !== taken.id || !warning.actionable || !isSettled) continue
    warning.actionable = false
    turn.emit('radar.early_fraud_warning.updated', warning, { actionable: true })
  }
}
