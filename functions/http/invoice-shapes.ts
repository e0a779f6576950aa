import { unitsText } from '../../core/notifications/amounts.ts'
import type { Invoice, ListedInvoice } from '../../core/purchases/invoices.ts'
import { amountOf } from './money-shapes.ts'
import { epochSeconds, isoDay } from './time-shapes.ts'

/**
 * The fields that both shapes of an invoice have. GreenCloud's `status` is that of the payment, which has succeeded
 * whatever went back later; `state` says what did. The day is in UTC.
 */
const face = ({ amountCents, currency, status, paidAtMs }: ListedInvoice) => ({
  amount: amountOf(amountCents, currency),
  currency,
  status: 'succeeded' as const,
  state: status,
  paidOn: isoDay(paidAtMs),
})

/** An invoice in a list, where GreenCloud writes the seconds as a text. */
export const invoiceLine = (invoice: ListedInvoice) => ({
  id: invoice.id,
  ...face(invoice),
  paidDay: String(epochSeconds(invoice.paidAtMs)),
})

/** An invoice on its own, with its card and the link to its receipt. */
export const wholeInvoice = (invoice: Invoice) => ({
  ...face(invoice),
  paidDay: epochSeconds(invoice.paidAtMs),
  description: `${invoice.bundle} (${unitsText(invoice.units)})`,
  ...(invoice.discount && {
    coupon: {
      code: invoice.discount.code,
      discount: amountOf(invoice.discount.amountCents, invoice.currency),
      units: invoice.discount.units,
    },
  }),
  payment: {
    card: { brand: invoice.cardBrand ?? '', last4: invoice.cardLast4 ?? '' },
    receiptUrl: invoice.receiptUrl ?? null,
  },
})
