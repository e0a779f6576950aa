import { grantUnits } from '../../core/ledger/change-units.ts'
import { endpoint } from '../http/endpoint.ts'
import { bookedShape } from '../http/operator-money-shapes.ts'
import { timeMs } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.grant, async ({ path, body, deps, headers }) => {
  const { expiresAt, ...rest } = body
  const expiresAtMs = expiresAt === undefined ? undefined : timeMs(expiresAt)
  const order = { ...rest, expiresAtMs, idempotencyKey: headers['idempotency-key'] }
  return bookedShape(await grantUnits(deps, path.id, order))
})
