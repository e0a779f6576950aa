import { reconcileNow } from '../../core/purchases/reconcile-now.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.reconcile, ({ body, deps }) => reconcileNow(deps, body.reason))
