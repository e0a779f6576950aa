import { debitBalance } from '../../core/ledger/change-balance.ts'
import { endpoint } from '../http/endpoint.ts'
import { bookedShape } from '../http/operator-money-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.debit, async ({ path, body, deps, headers }) => {
  const order = { ...body, idempotencyKey: headers['idempotency-key'] }
  return bookedShape(await debitBalance(deps, path.id, order))
})
