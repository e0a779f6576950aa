import type { StatementLine } from '../../core/ledger/statement.ts'
import { amountOf } from './money-shapes.ts'
import { isoTime } from './time-shapes.ts'

/** An entry of the statement. */
export const ledgerLine = ({
  seq,
  atMs,
  kind,
  units,
  amountCents,
  currency,
  purchaseId,
  expiresAtMs,
  coupon,
  discountCents = 0,
}: StatementLine) => ({
  seq,
  at: isoTime(atMs),
  kind,
  units,
  amount: amountOf(amountCents, currency),
  currency,
  ...(purchaseId !== undefined && { purchaseId }),
  ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
  ...(coupon !== undefined && { coupon, discount: amountOf(discountCents, currency) }),
})
