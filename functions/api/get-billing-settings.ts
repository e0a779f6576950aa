import { billingSettings } from '../http/billing-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.getBillingSettings, async ({ caller }) => billingSettings(caller.account))
