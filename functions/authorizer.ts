import { CognitoJwtVerifier } from 'aws-jwt-verify'
import { FetchError } from 'aws-jwt-verify/error'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import type { APIGatewayRequestAuthorizerEventV2, APIGatewaySimpleAuthorizerResult } from 'aws-lambda'
import * as z from 'zod/mini'
import type { Claims } from '../core/account/account.ts'
import { parseJson } from './http/body.ts'
import { tokenSource } from './http/live.ts'

type Verdict = APIGatewaySimpleAuthorizerResult & { context?: Claims }

/** How far in the future a token may have been issued: clocks differ a little. */
const SKEW_SEC = 60

/** Cognito's header has these and no other: no `crit` extension, no key brought along (RFC 7515, 4.1). */
const headerSchema = z.strictObject({ alg: z.literal('RS256'), kid: z.string(), typ: z.optional(z.string()) })

/** The verifier checks what is there; these must also be there. */
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
  // The local pool has its issuer's name but not its address.
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
 * API Gateway's Lambda authorizer (format 2.0, simple answer): does the request carry an access token that our
 * pool issued to our client? Whether its session still stands is the account gate's question, so this answer may
 * be cached. Whatever goes wrong refuses; only a key set out of reach throws, because the gateway answers that with
 * 500 and does not remember it, where a refusal would shut a good token out for as long as it is cached.
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

/** Fetches the key set ahead of the first token; a bundle does so while it starts. */
export const warm = (): Promise<void> => verifier.hydrate()

/** The claims of a token whose signature holds. Throws on a claim given twice, missing or from the future. */
function claimsOf(token: string): Claims {
  const [header, payload] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  z.parse(headerSchema, parseJson(header ?? ''))
  const { username, origin_jti, exp, iat } = z.parse(payloadSchema, parseJson(payload ?? ''))
  if (iat > Date.now() / 1000 + SKEW_SEC) throw new Error('the token is from the future')
  return { accountId: username, sessionId: origin_jti, expiresAtSec: exp }
}
