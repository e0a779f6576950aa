import { listServices } from '../../core/keys/services.ts'
import { endpoint } from '../http/endpoint.ts'
import { serviceShape } from '../http/service-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.listServices, async ({ deps }) => {
  return { services: (await listServices(deps)).map(serviceShape) }
})
