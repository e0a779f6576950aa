import { refresh } from '../../core/credentials/sessions.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.refresh, async ({ body, deps }) => refresh(deps, body.refreshToken))
