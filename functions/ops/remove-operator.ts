import { removeOperator } from '../../core/operators/accounts.ts'
import { endpoint } from '../http/endpoint.ts'
import { operatorShape } from '../http/operator-account-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.removeOperator, async ({ path, body, deps }) => {
  return { operator: operatorShape(await removeOperator(deps, path.name, body.reason)) }
})
