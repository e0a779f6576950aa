import { restoreAccount } from '../../core/credentials/sessions.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.restore, async ({ body, deps }) => {
  await restoreAccount(deps, body)
  return { message: 'Account is restored' }
})
