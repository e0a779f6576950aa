import { setMonthlyCap } from '../../core/purchases/renewal.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.setRenewal, async ({ body, caller, deps }) => {
  const cents = body.monthlyCap === null ? undefined : Math.round(body.monthlyCap * 100)
  await setMonthlyCap(deps, caller.account, cents)
})
