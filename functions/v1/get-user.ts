import { greencloudAccount } from '../../core/account/shapes.ts'
import { readDefaultKey } from '../../core/keys/default-key.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.getUser, async ({ caller, deps }) =>
  greencloudAccount(caller.account, readDefaultKey(deps, caller.account)),
)
