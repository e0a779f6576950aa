import { describeAccount } from '../../core/account/overview.ts'
import { isRecentSession } from '../../core/credentials/proof.ts'
import { greencloudAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.getUser, async ({ caller, deps }) =>
  greencloudAccount(
    describeAccount(deps, caller.account, isRecentSession(deps, caller)),
    caller.account.username,
  ),
)
