import { createHash } from 'node:crypto'
import type {
  APIGatewayEventRequestContextV2,
  APIGatewayProxyEventV2WithRequestContext,
  APIGatewayRequestAuthorizerEventV2,
} from 'aws-lambda'

/** A request as the gateway read it from the wire, with what the gateway noted on receipt. */
export interface ReceivedRequest {
  method: string
  /** The request target as sent: path and query, or an absolute URI. */
  target: string
  /** `1.1` */
  httpVersion: string
  /** Name, value, name, value …: Node's `headers` drops duplicates that API Gateway joins. */
  rawHeaders: readonly string[]
  body: Buffer
  /** The socket's address, whatever X-Forwarded-For says. */
  sourceIp: string
  receivedMs: number
  requestId: string
}

/** The route that a request matched. */
export interface MatchedRoute {
  /** `GET /path/{x}` */
  key: string
  /** Decoded values by parameter name. */
  pathParameters: Readonly<Record<string, string>>
}

/** What the authorizer has said of the caller: the Lambda's context, or the principal that IAM has admitted. */
export type Authorized = { lambda: unknown } | { iam: unknown }

/** Payload format 2.0; `authorizer` is present on authorized routes only. */
export type IntegrationEvent = APIGatewayProxyEventV2WithRequestContext<
  APIGatewayEventRequestContextV2 & { authorizer?: Authorized }
>

export const ACCOUNT_ID = '000000000000'
const API_ID = 'local0api1'
export const REGION = 'eu-west-1'
export const API_ARN = `arn:aws:execute-api:${REGION}:${ACCOUNT_ID}:${API_ID}`

/** Headers that concern one connection only; the integration does not get them. */
const HOP_BY_HOP = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** The complete list, as observed on the service: forms, `+json` and an absent type count as binary. */
const TEXT = /^(text\/.*|application\/(json|xml|javascript))$/

/**
 * Splits a request target. The path is percent-decoded, as in an HTTP API's event, and cut at a
 * decoded `?`; the query stays as sent.
 * @returns undefined if the path's percent-encoding is broken.
 */
export function parseTarget(target: string): { path: string; query: string } | undefined {
  const [encoded = '', ...query] = target.replace(/^https?:\/\/[^/?]*/i, '').split('?')
  try {
    const [path = ''] = decodeURIComponent(encoded || '/').split('?')
    return { path, query: query.join('?') }
  } catch {
    return undefined
  }
}

/** Lower-cased names; the values of a repeated header joined with a comma. Includes hop-by-hop headers. */
export function joinHeaders(rawHeaders: readonly string[]): Record<string, string> {
  const joined = new Map<string, string>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    const value = rawHeaders[i + 1] ?? ''
    const before = joined.get(name)
    joined.set(name, before === undefined ? value : `${before},${value}`)
  }
  return Object.fromEntries(joined)
}

/** The event for an integration, payload format 2.0. `authorizer` is the context from the authorizer. */
export function integrationEvent(
  request: ReceivedRequest,
  route: MatchedRoute,
  authorizer?: Authorized,
): IntegrationEvent {
  const { cookies, requestContext, ...common } = commonFields(request, route)
  const [mediaType = ''] = (common.headers['content-type'] ?? '').split(';')
  const text = TEXT.test(mediaType.trim().toLowerCase())
  return {
    ...common,
    ...(cookies.length > 0 && { cookies }),
    requestContext: { ...requestContext, ...(authorizer && { authorizer }) },
    ...(request.body.length > 0 && { body: request.body.toString(text ? 'utf8' : 'base64') }),
    isBase64Encoded: request.body.length > 0 && !text,
  }
}

/** The event for a Lambda authorizer, payload format 2.0, whose identity source is the Authorization header. */
export function authorizerEvent(
  request: ReceivedRequest,
  route: MatchedRoute,
): APIGatewayRequestAuthorizerEventV2 {
  const common = commonFields(request, route)
  return {
    ...common,
    type: 'REQUEST',
    routeArn: `${API_ARN}/$default/${request.method}${common.rawPath}`,
    identitySource: [common.headers.authorization ?? ''],
  }
}

function commonFields(request: ReceivedRequest, { key, pathParameters }: MatchedRoute) {
  const { path, query } = parseTarget(request.target) ?? { path: '', query: '' }
  const headers = forwardedHeaders(request)
  const queryStringParameters = joinQuery(query)
  return {
    version: '2.0',
    routeKey: key,
    rawPath: path,
    rawQueryString: query,
    cookies: splitCookies(request.rawHeaders),
    headers,
    ...(Object.keys(queryStringParameters).length > 0 && { queryStringParameters }),
    ...(Object.keys(pathParameters).length > 0 && { pathParameters: { ...pathParameters } }),
    requestContext: {
      accountId: ACCOUNT_ID,
      apiId: API_ID,
      domainName: `${API_ID}.execute-api.${REGION}.amazonaws.com`,
      domainPrefix: API_ID,
      http: {
        method: request.method,
        path,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.sourceIp,
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: request.requestId,
      routeKey: key,
      stage: '$default',
      time: commonLogTime(request.receivedMs),
      timeEpoch: request.receivedMs,
    },
  }
}

/** The headers for the integration: no hop-by-hop headers or cookies, plus those that the gateway adds. */
function forwardedHeaders(request: ReceivedRequest): Record<string, string> {
  const sent = joinHeaders(request.rawHeaders)
  const kept = Object.entries(sent).filter(([name]) => name !== 'cookie' && !HOP_BY_HOP.has(name))
  const seconds = Math.floor(request.receivedMs / 1000).toString(16)
  const unique = createHash('sha256').update(request.requestId).digest('hex').slice(0, 24)
  const before = sent['x-forwarded-for']
  return {
    'x-amzn-trace-id': `Root=1-${seconds}-${unique}`,
    ...Object.fromEntries(kept),
    'content-length': String(request.body.length),
    'x-forwarded-for': before === undefined ? request.sourceIp : `${before}, ${request.sourceIp}`,
    'x-forwarded-port': '443',
    'x-forwarded-proto': 'https',
  }
}

function splitCookies(rawHeaders: readonly string[]): string[] {
  return rawHeaders
    .filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'cookie')
    .flatMap((header) => header.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
}

/** Decoded names and values (`+` is a space); the values of a repeated name joined with a comma. */
function joinQuery(query: string): Record<string, string> {
  const joined = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    const before = joined.get(name)
    joined.set(name, before === undefined ? value : `${before},${value}`)
  }
  return Object.fromEntries(joined)
}

/** `10/Jul/2026:19:19:05 +0000` */
function commonLogTime(ms: number): string {
  const [, day, month, year, time] = new Date(ms).toUTCString().split(' ')
  return `${day}/${month}/${year}:${time} +0000`
}
