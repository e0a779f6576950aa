import { confirmEmail } from '../../core/account/confirm.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.activate, async ({ body, deps }) => {
  await confirmEmail(deps, body.code)
  return { message: 'E-mail address is confirmed' }
})
