import { exportAccount } from '../../core/account/export.ts'
import { endpoint } from '../http/endpoint.ts'
import { exportedPage } from '../http/export-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.exportUser, async ({ body, caller, deps }) =>
  exportedPage(await exportAccount(deps, caller, body?.cursor)),
)
