/**
 * A double of an API Gateway HTTP API: payload format 2.0, one Lambda authorizer with simple responses, IAM.
 *
 * Where the documentation is silent, the behaviour follows published recordings of the service's events and
 * answers. Where there are none, these are guesses:
 * - The path is decoded, and cut at a decoded `?`, before it is matched: `%2F` separates segments as `/` does.
 *   Broken percent-encoding is a 400. Duplicate slashes and dot segments stay; no parameter is empty.
 * - `{name+}` also takes an empty rest: `/a/` matches `/a/{name+}`.
 * - Every answer of the gateway, errors too, gets CORS headers. Every OPTIONS is taken for a preflight, and the
 *   lists are sent as configured, whatever method or headers it asks for.
 * - 414 for a request line over 10,240 bytes, 431 with the header values.
 *
 * Known differences:
 * - The service reportedly refuses route keys that end in a slash. The double accepts such a key, which
 *   matches only a path with the slash.
 * - No throttling, access logs, stage variables, mutual TLS, HTTP/2, custom domains or `$default` routes;
 *   the Host header is not checked. Origins are literal or `*`; there are no patterns.
 * - A request that Node's parser refuses (smuggling, a header block over 16 KiB, an unknown method) gets
 *   Node's bare 400 or 431.
 * - Lambda's own 6 MB limits are not applied, and header names of the answer are not remapped.
 * - The client speaks plain HTTP to loopback; the event still says https, port 443 and the API's domain.
 */
import { randomBytes } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http'
import type { APIGatewayRequestAuthorizerEventV2 } from 'aws-lambda'
import {
  authorizerEvent,
  type IntegrationEvent,
  integrationEvent,
  joinHeaders,
  type MatchedRoute,
  parseTarget,
  type ReceivedRequest,
} from './event.ts'
import { type Listener, listen, type RequestHandler, readBody } from './http.ts'
import { admit, type Principal } from './iam.ts'

export interface GatewayRoute {
  /** `GET /path/{x}`; a last segment `{x+}` takes the rest of the path. */
  key: string
  /** Who checks the caller first: the Lambda authorizer, IAM, or nobody. */
  authorization: 'token' | 'iam' | 'none'
  /** An opaque name that `invoke` gets. */
  target: string
}

export interface GatewayOptions {
  routes: readonly GatewayRoute[]
  /** Runs the integration. A rejection becomes a 500 without details, so log the error here. */
  invoke(target: string, event: IntegrationEvent): Promise<unknown>
  /** Runs the authorizer. A rejection becomes a 500, or a 401 if its message is `Unauthorized`. */
  authorize(event: APIGatewayRequestAuthorizerEventV2): Promise<unknown>
  /** How long a result, allow or deny, is cached for the same Authorization header; 0 means no cache. */
  authorizerCacheSeconds: number
  /** Who may call routes with IAM authorization. */
  principals?: readonly Principal[]
  /** CORS is not configured if there are no origins. */
  cors: CorsOptions
  nowMs(): number
  /** Listens with the gateway's handler; by default on a free port. */
  listen?(handler: RequestHandler): Promise<Listener>
  /** Requests whose path starts with `/_local` go here and never to the API. */
  local?: RequestHandler
  /** Answers requests of paths that the API does not have, as the CDN in front of it does, or returns false. */
  pages?(request: IncomingMessage, response: ServerResponse): boolean | Promise<boolean>
}

export interface CorsOptions {
  origins: readonly string[]
  /** Whether an origin is allowed that is not listed. The service has no such rule; the local stack has one. */
  allows?(origin: string): boolean
  /** Hears of each request of an origin that is not allowed. */
  onRefused?(origin: string): void
  methods: readonly string[]
  headers: readonly string[]
  exposeHeaders: readonly string[]
  maxAgeSeconds: number
}

export interface Gateway extends Listener {
  /** Replaces the routes and clears the authorizer's cache, for code that was reloaded. */
  setRoutes(routes: readonly GatewayRoute[]): void
}

interface Answer {
  status: number
  headers: Readonly<Record<string, string | readonly string[]>>
  body?: string | Buffer
}

const MAX_BODY_BYTES = 10 * 1024 * 1024
const MAX_HEAD_BYTES = 10_240
const INTEGRATION_TIMEOUT_MS = 30_000
const AUTHORIZER_TIMEOUT_MS = 10_000

const MESSAGES = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Long',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/**
 * Serves the routes on loopback.
 * @throws Error for a route key that API Gateway would not accept, and for a duplicate.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  let match = compileRoutes(options.routes)
  let authorize = cachingAuthorizer(options)

  async function answer(request: ReceivedRequest): Promise<Answer> {
    const oversize = refuseOversize(request)
    if (oversize) return oversize
    const target = parseTarget(request.target)
    if (!target) return refuse(400)
    if (request.method === 'OPTIONS' && options.cors.origins.length > 0) return { status: 204, headers: {} }
    const matched = match(request.method, target.path)
    if (!matched) return refuse(404)
    const caller = await callerOf(request, matched)
    if (caller && 'refusal' in caller) return refuse(caller.refusal)
    const event = integrationEvent(request, matched, caller)
    return integrate(() => options.invoke(matched.route.target, overTheWire(event)))
  }

  async function callerOf(request: ReceivedRequest, matched: MatchedRoute & { route: GatewayRoute }) {
    const { authorization } = matched.route
    if (authorization === 'token') return authorize(request, matched)
    if (authorization === 'none') return undefined
    const iam = admit(options.principals ?? [], request, options.nowMs())
    return iam ? { iam } : { refusal: 403 as const }
  }

  const listener = await (options.listen ?? listen)(async (message, response) => {
    if (await options.pages?.(message, response)) return
    if (options.local && /^\/_local(?![^/?])/.test(message.url ?? '')) return options.local(message, response)
    const request = await receive(message, options.nowMs())
    const { status, headers, body } = withCors(options.cors, request, await answer(request))
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    response.setHeader('apigw-requestid', request.requestId)
    response.statusCode = status
    response.end(body)
  })

  return {
    ...listener,
    setRoutes(routes) {
      match = compileRoutes(routes)
      authorize = cachingAuthorizer(options)
    },
  }
}

/**
 * Reads the request to its end, so that the client reads the answer. Drops the rest of a body over the limit.
 */
async function receive(message: IncomingMessage, receivedMs: number): Promise<ReceivedRequest> {
  return {
    method: message.method ?? '',
    target: message.url ?? '',
    httpVersion: message.httpVersion,
    rawHeaders: message.rawHeaders,
    body: await readBody(message, MAX_BODY_BYTES),
    sourceIp: message.socket.remoteAddress ?? '',
    receivedMs,
    requestId: randomBytes(11).toString('base64'),
  }
}

function refuseOversize({ method, target, rawHeaders, body }: ReceivedRequest): Answer | undefined {
  const lineBytes = Buffer.byteLength(`${method} ${target} HTTP/1.1`)
  if (lineBytes > MAX_HEAD_BYTES) return refuse(414)
  const valueBytes = rawHeaders.reduce((sum, text, i) => (i % 2 === 1 ? sum + text.length : sum), 0)
  if (lineBytes + valueBytes > MAX_HEAD_BYTES) return refuse(431)
  return body.length > MAX_BODY_BYTES ? refuse(413) : undefined
}

/** An error answer of the gateway itself. */
function refuse(status: keyof typeof MESSAGES): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ message: MESSAGES[status] }),
  }
}

type Match = (method: string, path: string) => (MatchedRoute & { route: GatewayRoute }) | undefined

/** Routes match whole segments. A literal has priority over a parameter, and a greedy route comes last. */
function compileRoutes(routes: readonly GatewayRoute[]): Match {
  const compiled = routes.map((route) => {
    const [, method = '', path = ''] =
      /^([A-Z]+) (\/(?:(?:[^/{}]+|\{[\w.-]+\})\/)*(?:[^/{}]+|\{[\w.-]+\+?\})?)$/.exec(route.key) ?? []
    if (path === '') throw new Error(`Not an API Gateway route key: ${route.key}`)
    const segments = path.slice(1).split('/')
    const shape = segments.map((s) => (s.endsWith('+}') ? '2' : s.startsWith('{') ? '1' : `0${s}`)).join('/')
    return { route, method, segments, greedy: path.endsWith('+}'), shape }
  })
  const shapes = compiled.map(({ method, shape }) => `${method} ${shape}`)
  const twice = compiled.find(({ method, shape }, i) => shapes.indexOf(`${method} ${shape}`) !== i)
  if (twice) throw new Error(`A route like ${twice.route.key} is there already`)
  compiled.sort((a, b) => Number(a.greedy) - Number(b.greedy) || (a.shape < b.shape ? -1 : 1))

  return (method, path) => {
    const values = path.split('/').slice(1)
    for (const { route, segments, greedy, ...candidate } of compiled) {
      if (candidate.method !== method) continue
      if (greedy ? values.length < segments.length : values.length !== segments.length) continue
      const pathParameters = bind(segments, values)
      if (pathParameters) return { key: route.key, pathParameters, route }
    }
    return undefined
  }
}

function bind(segments: readonly string[], values: readonly string[]): Record<string, string> | undefined {
  const bound: [string, string][] = []
  for (const [i, segment] of segments.entries()) {
    if (segment.endsWith('+}')) bound.push([segment.slice(1, -2), values.slice(i).join('/')])
    else if (segment.startsWith('{') && values[i] !== '') bound.push([segment.slice(1, -1), values[i] ?? ''])
    else if (segment !== values[i]) return undefined
  }
  return Object.fromEntries(bound)
}

type Caller = { lambda: unknown } | { refusal: 401 | 403 | 500 }

/** Calls the authorizer and caches its result for each identity source; errors are not cached. */
function cachingAuthorizer(options: GatewayOptions) {
  const cache = new Map<string, { caller: Caller; untilMs: number }>()

  return async (request: ReceivedRequest, route: MatchedRoute): Promise<Caller> => {
    const event = authorizerEvent(request, route)
    const identity = event.identitySource[0] ?? ''
    if (identity === '') return { refusal: 401 }
    const cached = cache.get(identity)
    if (cached && options.nowMs() < cached.untilMs) return cached.caller
    try {
      const caller = readVerdict(
        await within(AUTHORIZER_TIMEOUT_MS, () => options.authorize(overTheWire(event))),
      )
      const untilMs = options.nowMs() + options.authorizerCacheSeconds * 1000
      if (!('refusal' in caller && caller.refusal === 500)) cache.set(identity, { caller, untilMs })
      return caller
    } catch (error) {
      return { refusal: error instanceof Error && error.message === 'Unauthorized' ? 401 : 500 }
    }
  }
}

function readVerdict(said: unknown): Caller {
  if (!isObject(said) || typeof said.isAuthorized !== 'boolean') return { refusal: 500 }
  return said.isAuthorized ? { lambda: said.context ?? null } : { refusal: 403 }
}

async function integrate(invoke: () => Promise<unknown>): Promise<Answer> {
  try {
    return readAnswer(overTheWire(await within(INTEGRATION_TIMEOUT_MS, invoke)))
  } catch (error) {
    return refuse(error === TIMED_OUT ? 503 : 500)
  }
}

/**
 * Reads an integration's answer in format 2.0. A value without a `statusCode` is the body of a 200.
 * @throws Error for a value with a `statusCode` that is not a valid answer.
 */
function readAnswer(said: unknown): Answer {
  if (!isObject(said) || said.statusCode === undefined) {
    const body = typeof said === 'string' ? said : JSON.stringify(said)
    return { status: 200, headers: { 'content-type': 'application/json' }, body }
  }
  const { statusCode, headers, cookies, body, isBase64Encoded } = said
  if (!Number.isInteger(statusCode) || Number(statusCode) < 200 || Number(statusCode) > 599) {
    throw new Error('statusCode')
  }
  if (headers != null && !isObject(headers)) throw new Error('headers')
  if (cookies != null && !(Array.isArray(cookies) && cookies.every((c) => typeof c === 'string'))) {
    throw new Error('cookies')
  }
  if (body != null && typeof body !== 'string') throw new Error('body')
  return {
    status: Number(statusCode),
    headers: readHeaders(headers ?? {}, cookies ?? [], Boolean(body)),
    body: Buffer.from(body ?? '', isBase64Encoded === true ? 'base64' : 'utf8'),
  }
}

function readHeaders(said: Record<string, unknown>, cookies: readonly string[], hasBody: boolean) {
  const headers: Record<string, string | string[]> = {}
  if (hasBody) headers['content-type'] = 'text/plain; charset=utf-8'
  for (const [name, value] of Object.entries(said)) {
    if (value === null || typeof value === 'object') throw new Error(`headers.${name}`)
    headers[name.toLowerCase()] = String(value)
  }
  const own = headers['set-cookie'] === undefined ? [] : [String(headers['set-cookie'])]
  if (cookies.length + own.length > 0) headers['set-cookie'] = [...cookies, ...own]
  // The gateway frames the message itself.
  for (const name of ['connection', 'content-length', 'transfer-encoding']) delete headers[name]
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name)
    for (const one of [value].flat()) validateHeaderValue(name, one)
  }
  return headers
}

/** Replaces the integration's CORS headers with the gateway's. */
function withCors(cors: CorsOptions, request: ReceivedRequest, answer: Answer): Answer {
  if (cors.origins.length === 0) return answer
  const kept = Object.entries(answer.headers).filter(([name]) => !name.startsWith('access-control-'))
  const headers: Record<string, string | readonly string[]> = Object.fromEntries(kept)
  const any = cors.origins.includes('*')
  if (!any) headers.vary = [headers.vary ?? [], 'Origin'].flat().join(', ')
  const sent = joinHeaders(request.rawHeaders)
  const preflight = request.method === 'OPTIONS'
  const isNamed = (origin: string) =>
    origin !== 'null' && (cors.origins.includes(origin) || cors.allows?.(origin) === true)
  const allowed = any || isNamed(sent.origin ?? '')
  if (sent.origin && !allowed) cors.onRefused?.(sent.origin)
  if (!sent.origin || !allowed || (preflight && !sent['access-control-request-method'])) {
    return { ...answer, headers }
  }
  headers['access-control-allow-origin'] = any ? '*' : sent.origin
  if (cors.exposeHeaders.length > 0) headers['access-control-expose-headers'] = cors.exposeHeaders.join(',')
  if (preflight) {
    headers['access-control-allow-methods'] = cors.methods.join(',')
    headers['access-control-allow-headers'] = cors.headers.join(',')
    headers['access-control-max-age'] = String(cors.maxAgeSeconds)
  }
  return { ...answer, headers }
}

const TIMED_OUT = new Error('timed out')

/** Waits for the work. @throws TIMED_OUT after `ms`; a later result is ignored. */
async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(TIMED_OUT), ms)
  })
  try {
    return await Promise.race([work(), late])
  } finally {
    clearTimeout(timer)
  }
}

/** Copies a value through JSON, as everything travels to and from a Lambda. */
function overTheWire<T>(value: T): T {
  return JSON.parse(JSON.stringify(value) ?? 'null') as T
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
