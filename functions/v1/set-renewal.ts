import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { setRenewal } from '../../core/purchases/renewal-settings.ts'
import { endpoint } from '../http/endpoint.ts'
import { centsOf } from '../http/money-shapes.ts'
import { belowOf } from '../http/renewal-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.setRenewal, async ({ body, caller, deps }) => {
  const { monthlyCap, maxPerHour, maxPerDay, below, bundle } = body
  await setRenewal(deps, caller.account, {
    ...(monthlyCap !== undefined && {
      monthlyCapCents: monthlyCap === null ? undefined : centsOf(monthlyCap, CURRENCY),
    }),
    ...(maxPerHour !== undefined && { maxRenewalsPerHour: maxPerHour ?? undefined }),
    ...(maxPerDay !== undefined && { maxRenewalsPerDay: maxPerDay ?? undefined }),
    ...(below !== undefined && { below: below === null ? undefined : belowOf(below) }),
    ...(bundle !== undefined && { renewalBundle: bundle ?? undefined }),
  })
})
