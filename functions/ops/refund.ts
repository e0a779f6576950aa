import { orderRefund } from '../../core/purchases/order-refund.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { pendingRefundShape, refundShape } from '../http/operator-money-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.refund, async ({ path, body, deps, headers }) => {
  const { reason, ...wanted } = body
  const of = { accountId: path.id, purchaseId: path.purchase }
  const request = { reason, idempotencyKey: headers['idempotency-key'] }
  const refund = await orderRefund(deps, of, wanted, request)
  return refund.status === 'pending'
    ? reply(202, pendingRefundShape(refund))
    : reply(200, refundShape(refund))
})
