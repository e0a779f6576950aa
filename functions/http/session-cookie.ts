import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import { SESSION_MS } from '../../core/credentials/session-life.ts'
import { DomainError, type ErrorCode } from '../../core/errors.ts'
import type { Row } from './route.ts'

/*
 * A browser may keep its refresh token in a cookie, which no script can read; the access token stays in the page's
 * memory. A forged request of another page has nothing to gain, for four reasons, each of which suffices:
 *
 * - The cookie is read for requests alone that ask for it in a body of JSON. No form sends JSON, and before a script of
 *   another origin does, the browser asks the gateway, whose CORS rules never allow credentials.
 * - SameSite=Strict: the browser sends the cookie with no request that another site has caused.
 * - Sec-Fetch-Site says which page has caused the request. No script can set it.
 * - What the cookie gives is an access token in an answer that other origins cannot read. Nothing is done by cookie alone
 *   but signing out; everything else asks for the access token in the header Authorization.
 */

/** With this prefix browsers take the cookie only if it is Secure and for this host and every path alone. */
const NAME = '__Host-bursar-session'
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Strict'
const ENDED = `${NAME}=; ${ATTRIBUTES}; Max-Age=0`

/** Browsers drop a cookie whose name and value are longer, without a word (RFC 6265bis, 5.7). Cognito's take half of it. */
const MOST_BYTES = 4096

/** How a session in a cookie changes the request and its answer. */
export interface CookieSession {
  /** What the request has brought in its cookie, where its row takes one. */
  refreshToken: string | undefined
  /** The answer with its refresh token in the cookie; a cookie that ends if the answer has no body. */
  answered(result: APIGatewayProxyStructuredResultV2): APIGatewayProxyStructuredResultV2
  /** The error, with a cookie that ends if its session has. */
  refused(result: APIGatewayProxyStructuredResultV2, code: ErrorCode): APIGatewayProxyStructuredResultV2
}

/**
 * The session in a cookie of a request that asks for one; undefined for every other request, whose cookies are not read.
 * @throws DomainError `not_same_origin`
 */
export function cookieSession(
  { sessionCookie }: Row,
  { cookies = [], headers }: Pick<APIGatewayProxyEventV2, 'cookies' | 'headers'>,
  body: unknown,
): CookieSession | undefined {
  if ((body as { session?: unknown } | undefined)?.session !== 'cookie') return undefined
  if (!isSameOrigin(headers)) throw new DomainError('not_same_origin')
  const refreshToken = sessionCookie === 'taken' ? tokenIn(cookies) : undefined
  return {
    refreshToken,
    answered(result) {
      if (!result.body) return { ...result, cookies: [ENDED] }
      const { refreshToken: given, ...rest } = JSON.parse(result.body)
      const kept = given === refreshToken ? {} : { cookies: [cookieOf(given)] }
      return { ...result, ...kept, body: JSON.stringify(rest) }
    },
    refused: (result, code) => (code === 'session_ended' ? { ...result, cookies: [ENDED] } : result),
  }
}

/**
 * Browsers say whether the page is of the same origin. Those that do not name the page's origin, at least; a program that
 * is no browser names none.
 */
function isSameOrigin(headers: APIGatewayProxyEventV2['headers']): boolean {
  const { 'sec-fetch-site': site, origin, host } = headers
  if (site !== undefined) return site === 'same-origin'
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)
}

function tokenIn(cookies: readonly string[]): string | undefined {
  const token = cookies.find((cookie) => cookie.startsWith(`${NAME}=`))?.slice(NAME.length + 1)
  return token === '' || (token?.length ?? 0) > MOST_BYTES ? undefined : token
}

/** @throws Error for a token that browsers would not keep: better no session than one that is lost with the page */
function cookieOf(token: string): string {
  if (!/^[\w.-]+$/.test(token) || NAME.length + token.length > MOST_BYTES)
    throw new Error('the refresh token does not fit into a cookie')
  return `${NAME}=${token}; ${ATTRIBUTES}; Max-Age=${SESSION_MS / 1000}`
}
