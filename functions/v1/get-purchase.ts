import { readPurchaseView } from '../../core/purchases/read-state.ts'
import { endpoint } from '../http/endpoint.ts'
import { purchaseShape } from '../http/purchase-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.getPurchase, async ({ caller, deps, path }) =>
  purchaseShape(await readPurchaseView(deps, caller.account, path.id)),
)
