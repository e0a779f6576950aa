import { endpoint } from './endpoint.ts'
import { http } from './routes.ts'

export const handler = endpoint(http.health, async () => ({ status: 'ok' as const }))
