import { signOutAccount } from '../../core/credentials/sessions.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.signOut, async ({ path, body, deps }) => ({
  sessions: await signOutAccount(deps, path.id, body.reason),
}))
