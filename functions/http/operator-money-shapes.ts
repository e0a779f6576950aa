import type { Booked } from '../../core/ledger/operator-entries.ts'
import type { RefundAnswer } from '../../core/purchases/order-refund.ts'
import { isoTime } from './time-shapes.ts'

/** What an operator's order has booked, and where the account stands. */
export const bookedShape = ({ entry, left, owedUnits, balanceCents, currency, replayed }: Booked) => {
  const { seq, kind, units, amountCents, expiresAtMs } = entry
  return {
    entry: {
      seq,
      kind: kind as 'grant' | 'take' | 'credit' | 'debit',
      units,
      amountCents,
      ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
    },
    left,
    owedUnits,
    balanceCents,
    currency,
    ...(replayed && { replayed: true as const }),
  }
}

/** A refund that Stripe has made. */
export const refundShape = ({ id, amountCents, currency, replayed }: RefundAnswer) => ({
  id,
  amountCents,
  currency,
  ...(replayed && { replayed: true as const }),
})

/** A refund whose outcome is not known yet. */
export const pendingRefundShape = ({ id, replayed }: RefundAnswer) => ({
  id,
  status: 'pending' as const,
  ...(replayed && { replayed: true as const }),
})
