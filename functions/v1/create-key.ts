import { createKey } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { settingsChange, shownKey } from '../http/key-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.createKey, async ({ body, caller, deps, headers }) => {
  const { name, ...settings } = body
  const key = { ...settingsChange(settings), name }
  return shownKey(await createKey(deps, caller, key, headers['idempotency-key']))
})
