import { rotateKey } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { shownKey } from '../http/key-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.rotateKey, async ({ caller, deps, headers, path }) =>
  shownKey(await rotateKey(deps, caller, path.id, headers['idempotency-key'])),
)
