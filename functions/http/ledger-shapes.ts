import type { LedgerEntry } from '../../core/ledger/entry.ts'
import { dollarsOf } from './money-shapes.ts'
import { isoTime } from './time-shapes.ts'

/** An entry of the statement, with the amount in dollars. */
export const ledgerLine = ({ seq, atMs, kind, units, amountCents, purchaseId }: LedgerEntry) => ({
  seq,
  at: isoTime(atMs),
  kind,
  units,
  amount: dollarsOf(amountCents),
  ...(purchaseId !== undefined && { purchaseId }),
})
