import { changeApp, corsUrlOf } from '../../core/keys/apps.ts'
import { endpoint } from '../http/endpoint.ts'
import { skylinkApp } from '../http/key-shapes.ts'
import { rest } from './routes.ts'

export const handler = endpoint(rest.updateApp, async ({ body, caller, deps, path }) => {
  const { appname: name, corsurl: corsUrl } = body
  const key = await changeApp(deps, caller, path.apiKey, { name, corsUrl: corsUrl === null ? '' : corsUrl })
  return skylinkApp(key, corsUrlOf(key))
})
