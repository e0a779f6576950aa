import type { PurchaseView } from '../../core/purchases/read-state.ts'
import { amountOf } from './money-shapes.ts'

/** A purchase by its id. */
export const purchaseShape = ({
  id,
  bundle,
  amountCents,
  currency,
  state,
  clientSecret,
  cardId,
}: PurchaseView) => ({
  id,
  bundle,
  amount: amountOf(amountCents, currency),
  currency,
  state,
  clientSecret: clientSecret ?? null,
  paymentMethod: cardId ?? null,
})
