import { readBalance } from '../../core/quota/balance.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.balance, async ({ caller, deps }) => readBalance(deps, caller.key))
