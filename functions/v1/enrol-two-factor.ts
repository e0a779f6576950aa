import { enrolTwoFactor } from '../../core/credentials/two-factor.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.enrolTwoFactor, async ({ caller, deps }) => {
  const { seed, uri, svg } = await enrolTwoFactor(deps, caller)
  return { seed, uri, qr: svg }
})
