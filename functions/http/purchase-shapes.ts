import type { PurchaseView } from '../../core/purchases/read-state.ts'
import { dollarsOf } from './money-shapes.ts'

/** A purchase by its id; the amount in dollars. */
export const purchaseShape = ({ id, bundle, amountCents, state, clientSecret, cardId }: PurchaseView) => ({
  id,
  bundle,
  amount: dollarsOf(amountCents),
  state,
  clientSecret: clientSecret ?? null,
  paymentMethod: cardId ?? null,
})
