import { addOperator } from '../../core/operators/accounts.ts'
import { endpoint } from '../http/endpoint.ts'
import { operatorShape } from '../http/operator-account-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.addOperator, async ({ body, deps }) => {
  return { operator: operatorShape(await addOperator(deps, body)) }
})
