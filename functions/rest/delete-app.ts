import { deleteKey } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { rest } from './routes.ts'

export const handler = endpoint(rest.deleteApp, async ({ caller, deps, path }) => {
  await deleteKey(deps, caller, path.apiKey)
  return { status: 1 as const }
})
