import { addService } from '../../core/keys/services.ts'
import { endpoint } from '../http/endpoint.ts'
import { serviceShape } from '../http/service-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.addService, async ({ body, deps }) => {
  const { service, credential } = await addService(deps, body.name, body.reason)
  return { service: serviceShape(service), credential }
})
