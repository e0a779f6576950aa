import { resetFactors } from '../../core/credentials/reset-factors.ts'
import { endpoint } from '../http/endpoint.ts'
import { isoTime } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.resetTwoFactor, async ({ path, body, deps }) => {
  const reset = await resetFactors(deps, path.id, body)
  if (reset.state === 'off') return { state: reset.state, by: null, finishesAt: null }
  return { state: reset.state, by: reset.by, finishesAt: isoTime(reset.finishesAtMs) }
})
