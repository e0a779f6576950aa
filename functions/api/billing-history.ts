import { requireOwnTeam } from '../../core/account/account.ts'
import { invoicesOfAccountByPage } from '../../core/reports/numbered-lists.ts'
import { emcpInvoice } from '../http/billing-shapes.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { nextPage, numberedPage } from '../http/page-query.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.billingHistory, async ({ caller, deps, path, query }) => {
  requireOwnTeam(caller.account, path.id)
  const page = numberedPage(query)
  const { invoices, hasNext } = await invoicesOfAccountByPage(deps, path.id, page)
  const link = nextPage(`/api/teams/${path.id}/billing-history`, page, hasNext)
  return reply(
    200,
    invoices.map((invoice) => emcpInvoice(path.id, invoice)),
    link,
  )
})
