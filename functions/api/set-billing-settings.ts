import { setBilling } from '../../core/account/billing.ts'
import { billingChange, billingSettings } from '../http/billing-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.setBillingSettings, async ({ body, caller, deps }) =>
  billingSettings(await setBilling(deps, caller.account, billingChange(body))),
)
