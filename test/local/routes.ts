import { routesOf } from '../../functions/deploy/functions.ts'
import { rows } from '../../functions/http/rows.ts'
import type { GatewayRoute } from './gateway.ts'

/** The routes of the gateway, made from the rows; a target is the handler's file. */
export const gatewayRoutes = (): GatewayRoute[] =>
  rows.flatMap((row) =>
    routesOf(row).map((route) => ({ ...route, target: `functions/${row.dialect}/${row.file}.ts` })),
  )
