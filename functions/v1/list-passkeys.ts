import { listPasskeys } from '../../core/credentials/passkeys.ts'
import { endpoint } from '../http/endpoint.ts'
import { listedPasskey } from '../http/passkey-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.listPasskeys, async ({ caller }) =>
  listPasskeys(caller.account).map(listedPasskey),
)
