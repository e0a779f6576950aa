import { CognitoJwtVerifier } from 'aws-jwt-verify'
import { FetchError } from 'aws-jwt-verify/error'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import type { APIGatewayRequestAuthorizerEventV2, APIGatewaySimpleAuthorizerResult } from 'aws-lambda'
import * as z from 'zod/mini'
import type { Claims } from '../core/account/account.ts'
import { parseJson } from './http/body.ts'
import { tokenSource } from './http/live.ts'

type Verdict = APIGatewaySimpleAuthorizerResult & { context?: Claims }

/** How far in the future a token's issue time may be, because clocks differ a little. */
const SKEW_SEC = 60

/**
 * All header fields of a Cognito token. Others are refused, such as `crit` or an embedded key (RFC 7515,
 * 4.1).
 */
const headerSchema = z.strictObject({ alg: z.literal('RS256'), kid: z.string(), typ: z.optional(z.string()) })

/** Claims that a token must have: the verifier checks only those that are present. */
const payloadSchema = z.object({
  sub: z.string(),
  username: z.string(),
  origin_jti: z.string(),
  exp: z.number(),
  iat: z.number(),
})

const { jwksUri, ...pool } = tokenSource()

const verifier = CognitoJwtVerifier.create(
  { ...pool, tokenUse: 'access' as const },
  // On the local stack the key set is not at the address that the issuer's name implies.
  jwksUri === undefined
    ? undefined
    : { jwksCache: new SimpleJwksCache({ fetcher: { fetch: () => download(jwksUri) } }) },
)

async function download(uri: string): Promise<ArrayBuffer> {
  const response = await fetch(uri).catch((cause: unknown) => {
    throw new FetchError(uri, cause)
  })
  if (!response.ok) throw new FetchError(uri, `answered ${response.status}`)
  return response.arrayBuffer()
}

/**
 * API Gateway's Lambda authorizer (format 2.0, simple response). It admits an access token that our user pool
 * issued to our client. The gateway may cache this answer, because the account gate checks the session on
 * every request.
 * @throws FetchError if the key set cannot be fetched: the gateway then answers 500 and caches nothing,
 * whereas it would cache a refusal and so lock out a good token. Every other error refuses the token.
 */
export async function handler(event: APIGatewayRequestAuthorizerEventV2): Promise<Verdict> {
  const token = /^bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(event.headers?.authorization ?? '')?.[1]
  if (!token) return { isAuthorized: false }
  try {
    await verifier.verify(token)
    return { isAuthorized: true, context: claimsOf(token) }
  } catch (error) {
    if (error instanceof FetchError) throw error
    return { isAuthorized: false }
  }
}

/** Fetches the key set before the first token arrives. A bundle calls this while the container starts. */
export const warm = (): Promise<void> => verifier.hydrate()

/**
 * Reads a verified token.
 * @throws Error for a duplicate key, a missing claim or an issue time in the future.
 */
function claimsOf(token: string): Claims {
  const [header, payload] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  z.parse(headerSchema, parseJson(header ?? ''))
  const { username, origin_jti, exp, iat } = z.parse(payloadSchema, parseJson(payload ?? ''))
  if (iat > Date.now() / 1000 + SKEW_SEC) throw new Error('the token is from the future')
  return { accountId: username, sessionId: origin_jti, expiresAtSec: exp }
}
