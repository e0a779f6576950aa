import { listKeys } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { listedKey } from '../http/key-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.listKeys, async ({ caller, deps }) => {
  const keys = await listKeys(deps, caller.account)
  return keys.map(listedKey)
})
