import { readKey } from '../../core/keys/application-keys.ts'
import { corsUrlOf } from '../../core/keys/apps.ts'
import { endpoint } from '../http/endpoint.ts'
import { skylinkApp } from '../http/key-shapes.ts'
import { rest } from './routes.ts'

export const handler = endpoint(rest.getApp, async ({ caller, deps, path }) => {
  const key = await readKey(deps, caller.account, path.apiKey)
  return skylinkApp(key, corsUrlOf(key))
})
