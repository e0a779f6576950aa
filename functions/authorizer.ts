import type { APIGatewayRequestAuthorizerEventV2, APIGatewaySimpleAuthorizerResult } from 'aws-lambda'
import type { Claims } from '../core/account/account.ts'
import { fetchKeySet, readAccessToken } from './http/access-token.ts'

type Verdict = APIGatewaySimpleAuthorizerResult & { context?: Claims }

/**
 * API Gateway's Lambda authorizer (format 2.0, simple response). It admits an access token that our user pool
 * issued to our client. The gateway may cache this answer, because the account gate checks the session, and the
 * token's expiry, on every request.
 * @throws DomainError if the key set cannot be fetched: the gateway then answers 500 and caches nothing,
 * whereas it would cache a refusal and so lock out a good token. Every other error refuses the token.
 */
export async function handler(event: APIGatewayRequestAuthorizerEventV2): Promise<Verdict> {
  const claims = await readAccessToken(event.headers?.authorization)
  return claims ? { isAuthorized: true, context: claims } : { isAuthorized: false }
}

/** Fetches the key set before the first token arrives. A bundle calls this while the container starts. */
export const warm = fetchKeySet
