import { setAlerts } from '../../core/quota/set-alerts.ts'
import { endpoint } from '../http/endpoint.ts'
import { belowOf } from '../http/renewal-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.setAlerts, async ({ body, caller, deps }) =>
  setAlerts(
    deps,
    caller.account,
    body.alerts.map(({ below }) => belowOf(below)),
  ),
)
