import { readBalance } from '../../core/quota/balance.ts'
import { endpoint } from '../http/endpoint.ts'
import { isoTime } from '../http/time-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.balance, async ({ caller, deps }) => {
  const { expiring, ...balance } = await readBalance(deps, caller.key)
  return {
    ...balance,
    ...(expiring && { expiring: expiring.map(({ units, atMs }) => ({ units, at: isoTime(atMs) })) }),
  }
})
