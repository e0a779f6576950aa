import { reconcileAccount } from '../../core/purchases/reconcile-account.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.reconcileAccount, async ({ path, body, deps }) => {
  const report = await reconcileAccount(deps, path.id, body)
  return { ...report, next: report.next ?? null }
})
