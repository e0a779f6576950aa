import { admin } from '../admin/routes.ts'
import { api } from '../api/routes.ts'
import { ops } from '../ops/routes.ts'
import { rest } from '../rest/routes.ts'
import { v1 } from '../v1/routes.ts'
import { webhooks } from '../webhooks/routes.ts'
import type { Placed } from './route.ts'
import { http } from './routes.ts'

/** All endpoints. Importing them loads no SDK and no handler, and reads no environment. */
export const rows: readonly Placed[] = [api, v1, rest, webhooks, http, ops, admin].flatMap((dialect) =>
  Object.values<Placed>(dialect),
)

/** The endpoints of the published API. Those of operators have a document of their own. */
export const customerRows: readonly Placed[] = rows.filter(
  ({ auth }) => auth !== 'operator' && auth !== 'admin-key',
)
export const operatorRows: readonly Placed[] = rows.filter(({ auth }) => auth === 'operator')
/** The endpoints for admin keys, which are in the operators' document, too. */
export const adminKeyRows: readonly Placed[] = rows.filter(({ auth }) => auth === 'admin-key')
