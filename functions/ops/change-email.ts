import { moveAddress } from '../../core/account/move-address.ts'
import { endpoint } from '../http/endpoint.ts'
import { isoTime } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.changeEmail, async ({ path, body, deps }) => {
  const move = await moveAddress(deps, path.id, body)
  return { state: move.state, finishesAt: move.state === 'waiting' ? isoTime(move.finishesAtMs) : null }
})
