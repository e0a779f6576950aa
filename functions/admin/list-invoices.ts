import { invoicesByPage } from '../../core/reports/numbered-lists.ts'
import { adminInvoice } from '../http/admin-shapes.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { nextPage, numberedPage } from '../http/page-query.ts'
import { admin } from './routes.ts'

export const handler = endpoint(admin.listInvoices, async ({ query, deps }) => {
  const page = numberedPage(query)
  const { invoices, hasNext } = await invoicesByPage(deps, page)
  return reply(200, invoices.map(adminInvoice), nextPage('/admin/api/invoices', page, hasNext))
})
