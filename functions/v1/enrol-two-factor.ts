import { enrol } from '../../core/credentials/two-factor.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.enrolTwoFactor, async ({ caller, deps }) => enrol(deps, caller.account))
