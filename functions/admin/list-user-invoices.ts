import { invoicesOfAccountByPage } from '../../core/reports/numbered-lists.ts'
import { adminInvoice } from '../http/admin-shapes.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { nextPage, numberedPage } from '../http/page-query.ts'
import { admin } from './routes.ts'

export const handler = endpoint(admin.listUserInvoices, async ({ path, query, deps }) => {
  const page = numberedPage(query)
  const { invoices, hasNext } = await invoicesOfAccountByPage(deps, path.id, page)
  const link = nextPage(`/admin/api/users/${path.id}/invoices`, page, hasNext)
  return reply(200, invoices.map(adminInvoice), link)
})
