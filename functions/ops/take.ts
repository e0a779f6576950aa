import { takeUnits } from '../../core/ledger/change-units.ts'
import { endpoint } from '../http/endpoint.ts'
import { bookedShape } from '../http/operator-money-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.take, async ({ path, body, deps, headers }) => {
  const order = { ...body, owe: body.owe ?? false, idempotencyKey: headers['idempotency-key'] }
  return bookedShape(await takeUnits(deps, path.id, order))
})
