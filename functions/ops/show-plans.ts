import { readPlans } from '../../core/plans/current.ts'
import { readVersion } from '../../core/plans/versions.ts'
import { endpoint } from '../http/endpoint.ts'
import { versionShape } from '../http/plan-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.showPlans, async ({ query, deps }) => {
  const { version } = query
  const plans = await (version === undefined ? readPlans(deps) : readVersion(deps, Number(version)))
  return { ...versionShape(plans), catalogue: plans.catalogue }
})
