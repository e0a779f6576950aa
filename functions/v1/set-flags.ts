import { setFlags } from '../../core/purchases/renewal-settings.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.setFlags, async ({ body = {}, caller, deps }) =>
  setFlags(deps, caller.account, {
    bundleAutoRenewal: body.bundleAutoRenewal ?? body.bundleAutoRenew ?? false,
    lowQuotaNotification: body.lowQuotaNotification ?? false,
  }),
)
