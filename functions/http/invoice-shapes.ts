import { unitsText } from '../../core/notifications/amounts.ts'
import type { Invoice, ListedInvoice } from '../../core/purchases/invoices.ts'
import { amountOf } from './money-shapes.ts'
import { isoDay } from './time-shapes.ts'

/** The fields that both shapes of an invoice have; the day in UTC. */
const face = ({ amountCents, currency, status, paidAtMs }: ListedInvoice) => ({
  amount: amountOf(amountCents, currency),
  currency,
  status,
  paidDay: isoDay(paidAtMs),
})

/** An invoice in a list. */
export const invoiceLine = (invoice: ListedInvoice) => ({ id: invoice.id, ...face(invoice) })

/** An invoice on its own, with its card and the link to its receipt. */
export const wholeInvoice = (invoice: Invoice) => ({
  ...face(invoice),
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
