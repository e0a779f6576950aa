import { closeAccount } from '../../core/account/close.ts'
import { endpoint } from '../http/endpoint.ts'
import { isoTime } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.close, async ({ path, body, deps }) => {
  const { reason, units } = body
  const eraseAtMs = await closeAccount(deps, path.id, { reason, forfeits: units === 'forfeit' })
  return { status: 'closed' as const, eraseAt: isoTime(eraseAtMs) }
})
