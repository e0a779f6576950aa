import { requireOwnTeam } from '../../core/account/account.ts'
import { readLastInvoice } from '../../core/purchases/invoices.ts'
import { emcpInvoice } from '../http/billing-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.lastInvoice, async ({ caller, deps, path }) => {
  requireOwnTeam(caller.account, path.id)
  return emcpInvoice(path.id, await readLastInvoice(deps, caller.account))
})
