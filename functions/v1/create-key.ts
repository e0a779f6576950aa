import { createKey } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { shownKey } from '../http/key-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.createKey, async ({ body, caller, deps, headers }) =>
  shownKey(await createKey(deps, caller, body.name, headers['idempotency-key'])),
)
