import { passwordRule } from '../../core/account/fields.ts'
import { listedOffers, readPlans } from '../../core/plans/current.ts'
import { configShape } from '../http/config-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.getConfig, async ({ deps }) => {
  const plans = await readPlans(deps)
  return configShape(deps.deployment, plans, listedOffers(plans), passwordRule)
})
