import { authorizationOf } from '../../functions/deploy/functions.ts'
import { gatewayKey } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import type { GatewayRoute } from './gateway.ts'

/** The routes of the gateway, made from the rows; a target is the handler's file. */
export const gatewayRoutes = (): GatewayRoute[] =>
  rows.flatMap((row) =>
    row.routes.map((key) => ({
      key: gatewayKey(key),
      authorization: authorizationOf(row),
      target: `functions/${row.dialect}/${row.file}.ts`,
    })),
  )
