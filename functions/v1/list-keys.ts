import { listKeys } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.listKeys, async ({ caller, deps }) => listKeys(deps, caller.account))
