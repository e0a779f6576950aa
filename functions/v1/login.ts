import { login } from '../../core/credentials/sessions.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.login, async ({ body, deps }) => login(deps, body))
