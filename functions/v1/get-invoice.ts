import { readInvoice } from '../../core/purchases/invoices.ts'
import { endpoint } from '../http/endpoint.ts'
import { wholeInvoice } from '../http/invoice-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.getInvoice, async ({ caller, deps, path }) =>
  wholeInvoice(await readInvoice(deps, caller.account, path.id)),
)
