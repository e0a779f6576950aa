import { passkeyFactor } from '../../core/credentials/passkey-sign-in.ts'
import { restoreAccount } from '../../core/credentials/sessions.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.restore, async ({ body: { passkey, twofa, ...body }, deps }) => {
  await restoreAccount(deps, { ...body, twofa: passkey ? passkeyFactor(deps, passkey) : twofa })
  return { message: 'Account is restored' }
})
