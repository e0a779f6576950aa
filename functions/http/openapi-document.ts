import document from '../openapi.json' with { type: 'json' }
import { endpoint } from './endpoint.ts'
import { http } from './routes.ts'

export const handler = endpoint(http.openapiDocument, async () => document)
