import { addPasskey } from '../../core/credentials/passkeys.ts'
import { endpoint } from '../http/endpoint.ts'
import { listedPasskey } from '../http/passkey-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.addPasskey, async ({ body, caller, deps }) =>
  listedPasskey(await addPasskey(deps, caller, { name: body.name, answer: body.passkey })),
)
