import { rotateKey } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { shownKey } from '../http/key-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.rotateKey, async ({ body, caller, deps, headers, path }) => {
  const rotation = { graceSeconds: body?.graceSeconds ?? 0, idempotencyKey: headers['idempotency-key'] }
  return shownKey(await rotateKey(deps, caller, path.id, rotation))
})
