import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { setMonthlyCap } from '../../core/purchases/renewal.ts'
import { endpoint } from '../http/endpoint.ts'
import { centsOf } from '../http/money-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.setRenewal, async ({ body, caller, deps }) => {
  const cents = body.monthlyCap === null ? undefined : centsOf(body.monthlyCap, CURRENCY)
  await setMonthlyCap(deps, caller.account, cents)
})
