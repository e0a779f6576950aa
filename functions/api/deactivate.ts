import { deactivateAccount, stopPayments } from '../../core/account/deactivate.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

const DONE = { message: 'Account is deactivated' }

export const handler = endpoint(
  api.deactivate,
  async ({ caller, deps }) => {
    await deactivateAccount(deps, caller.account)
    return DONE
  },
  async ({ caller, deps }) => {
    // The request that has deactivated the account may have ended early.
    await stopPayments(deps, caller.account)
    return DONE
  },
)
