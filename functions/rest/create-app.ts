import { corsUrlOf, createApp } from '../../core/keys/apps.ts'
import { endpoint } from '../http/endpoint.ts'
import { shownApp } from '../http/key-shapes.ts'
import { rest } from './routes.ts'

export const handler = endpoint(rest.createApp, async ({ body, caller, deps, headers }) => {
  const app = { name: body.appname, corsUrl: body.corsurl }
  const made = await createApp(deps, caller, app, headers['idempotency-key'])
  return shownApp(made, corsUrlOf(made))
})
