import { registerByEmail } from '../../core/account/register-by-email.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.register, async ({ body: { name, surname, ...body }, deps }) => {
  await registerByEmail(deps, { ...body, name: `${name} ${surname}` })
})
