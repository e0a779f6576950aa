import { listInvoices } from '../../core/purchases/invoices.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { invoiceLine } from '../http/invoice-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.listInvoices, async ({ caller, deps, query }) => {
  const limit = Number(query.limit ?? 100)
  const { invoices, next } = await listInvoices(deps, caller.account, { limit, cursor: query.cursor })
  const link = `</v1/invoice/list?limit=${limit}&cursor=${next}>; rel="next"`
  return reply(200, invoices.map(invoiceLine), next === undefined ? {} : { link })
})
