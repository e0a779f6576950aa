import type { BookedStanding } from '../../core/ledger/operator-entries.ts'
import type { OwnedInvoice } from '../../core/reports/numbered-lists.ts'
import type { AccountUnits } from '../../core/reports/units-of-accounts.ts'
import { amountOf } from './money-shapes.ts'
import { isoTime } from './time-shapes.ts'

/** An invoice in EMCP's spelling. */
export const adminInvoice = ({ id, accountId, amountCents, currency, status, paidAtMs }: OwnedInvoice) => ({
  _id: id,
  user: accountId,
  amount: amountOf(amountCents, currency),
  currency,
  status,
  createdAt: isoTime(paidAtMs),
})

export const userQuota = ({ bundle, ...units }: AccountUnits) => ({ ...units, bundle: bundle ?? null })

/** What an order about the units has left. */
export const orderedQuota = ({ left, owedUnits, replayed }: BookedStanding) => ({
  left,
  owed: owedUnits,
  ...(replayed && { replayed: true as const }),
})
