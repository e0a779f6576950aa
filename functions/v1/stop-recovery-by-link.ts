import { stopRecoveryByLink } from '../../core/credentials/recovery.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.stopRecoveryByLink, async ({ body, deps }) => {
  await stopRecoveryByLink(deps, body.code)
  return { message: 'The recovery is stopped' }
})
