import { exportForOperator } from '../../core/account/export.ts'
import { endpoint } from '../http/endpoint.ts'
import { exportedPage } from '../http/export-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.exportAccount, async ({ path, body, deps }) =>
  exportedPage(await exportForOperator(deps, path.id, body)),
)
