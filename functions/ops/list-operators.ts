import { listOperators } from '../../core/operators/accounts.ts'
import { endpoint } from '../http/endpoint.ts'
import { operatorShape } from '../http/operator-account-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.listOperators, async ({ deps }) => {
  return { operators: (await listOperators(deps)).map(operatorShape) }
})
