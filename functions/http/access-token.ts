import { CognitoJwtVerifier } from 'aws-jwt-verify'
import { FetchError } from 'aws-jwt-verify/error'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import * as z from 'zod/mini'
import type { Claims } from '../../core/account/account.ts'
import { bytesOfBase64url, textOfBase64url } from '../../core/base64url.ts'
import { SESSION_MS } from '../../core/credentials/session-life.ts'
import { DomainError } from '../../core/errors.ts'
import { parseJson } from './body.ts'
import { tokenSource } from './live.ts'

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
  nbf: z.optional(z.number()),
})

const { jwksUri, ...pool } = tokenSource()

/**
 * A genuine token passes until its session is over for certain, although it has expired: only the account gate can
 * tell a client whether to refresh the token or to sign in again. The gate refuses every expired token, so such a
 * token does no work; whoever has it learns only whether its session lives.
 */
const EXPIRED_FOR_SEC = SESSION_MS / 1000

const verifier = CognitoJwtVerifier.create(
  { ...pool, tokenUse: 'access' as const, graceSeconds: EXPIRED_FOR_SEC },
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
 * Reads the access token of an `Authorization` header, which our user pool must have issued to our client. The
 * token may have expired in the last 30 days: `readCaller` must follow, which refuses it then.
 * @returns undefined for everything else.
 * @throws DomainError `temporarily_unavailable` if the key set cannot be fetched
 */
export async function readAccessToken(authorization: string | undefined): Promise<Claims | undefined> {
  const token = /^bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1]
  if (!token) return undefined
  try {
    await verifier.verify(token)
    return claimsOf(token)
  } catch (error) {
    if (error instanceof FetchError) throw new DomainError('temporarily_unavailable', { cause: error })
    return undefined
  }
}

/** Fetches the key set before the first token arrives. */
export const fetchKeySet = (): Promise<void> => verifier.hydrate()

/**
 * Reads a verified token.
 * @throws Error for another spelling of a token, a duplicate key, a missing claim, or a time of issue or of first use in
 *   the future.
 */
function claimsOf(token: string): Claims {
  const [header = '', payload = '', signature = ''] = token.split('.')
  // The signature is over the spelling of the other two parts, and nothing is over its own.
  if (!bytesOfBase64url(signature)) throw new Error('the token has another spelling')
  z.parse(headerSchema, parseJson(textOfBase64url(header) ?? ''))
  const {
    username,
    origin_jti,
    exp,
    iat,
    nbf = 0,
  } = z.parse(payloadSchema, parseJson(textOfBase64url(payload) ?? ''))
  const nowSec = Date.now() / 1000
  // The verifier would let a token be used so much too early as it may be used too late.
  if (iat > nowSec + SKEW_SEC || nbf > nowSec) throw new Error('the token is from the future')
  return { accountId: username, sessionId: origin_jti, expiresAtSec: exp }
}
