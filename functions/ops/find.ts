import { findAccount } from '../../core/reports/find-account.ts'
import { endpoint } from '../http/endpoint.ts'
import { accountPageShape } from '../http/report-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.find, async ({ query, deps }) => {
  const { page, alike } = await findAccount(deps, query.query)
  return accountPageShape(page, alike)
})
