import { assertionOptions } from '../../core/credentials/passkeys.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.passkeyChallenge, async ({ deps }) => assertionOptions(deps))
