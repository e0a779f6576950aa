import middy from '@middy/core'
import type {
  APIGatewayEventRequestContextV2,
  APIGatewayProxyEventV2WithRequestContext,
  APIGatewayProxyStructuredResultV2,
} from 'aws-lambda'
import type { $ZodType, input, output } from 'zod/v4/core'
import { parse } from 'zod/v4/core'
import type { Account, Claims } from '../../core/account/account.ts'
import type { Origin } from '../../core/audit/origin.ts'
import { DomainError, type ErrorCode, failureOf } from '../../core/errors.ts'
import { requireWithinLimit } from '../../core/limits/limits.ts'
import type { Operator } from '../../core/operators/operator.ts'
import type { Deps } from '../../core/ports.ts'
import { adminKeyCaller } from './admin-key-caller.ts'
import { parseBody, RAW_BODY_LIMIT, rawBody } from './body.ts'
import { requirePerson } from './challenge.ts'
import type { Customer, KeyCallers } from './customers.ts'
import { gate } from './gate.ts'
import { keyCaller } from './key-caller.ts'
import { edgeSecret, isClosed, live, sessionsSinceMs } from './live.ts'
import { print, requestLog } from './log.ts'
import { type OperatorCaller, operatorCaller, type Signer } from './operator-caller.ts'
import { problemDetails, problems, retryAfterOf, skylinkFailure } from './problems.ts'
import { checkProof } from './proof.ts'
import { limitHeaders, rateHeaders } from './rate-headers.ts'
import { asksPeople, guardsOf, type Need, type Placed, type Row } from './route.ts'
import { type CookieSession, cookieSession } from './session-cookie.ts'
import { isFromEdge, sourceAddress } from './source-address.ts'
import { limitSource } from './source-limit.ts'
import { sourceName } from './source-name.ts'
import { validate } from './validate.ts'
import { takeTurns } from './vault-turn.ts'

type Event = APIGatewayProxyEventV2WithRequestContext<
  APIGatewayEventRequestContextV2 & {
    /** What the authorizer of the route has found out: ours for access tokens, or API Gateway's for IAM. */
    authorizer?: { lambda?: Claims; iam?: Signer }
  }
>
type Result = APIGatewayProxyStructuredResultV2

type Parsed<S> = S extends $ZodType ? output<S> : undefined

type Statuses<R extends Placed> = keyof R['responses'] & number
// biome-ignore lint/suspicious/noConfusingVoidType: what a domain call without a result resolves to
type Body<S> = S extends $ZodType ? input<S> : void

/** An answer with its status, for rows that have several, or headers of their own. */
class Reply<S extends number, B> {
  readonly status: S
  readonly body: B
  readonly headers: Record<string, string>

  constructor(status: S, body: B, headers: Record<string, string>) {
    this.status = status
    this.body = body
    this.headers = headers
  }
}

export const reply = <S extends number, B>(status: S, body: B, headers: Record<string, string> = {}) =>
  new Reply(status, body, headers)

/** The header of an answer that an earlier copy of the request got, for answers without a body. */
export const replayHeader = ({ replayed }: { replayed?: boolean | undefined }): Record<string, string> =>
  replayed ? { 'idempotent-replayed': 'true' } : {}

type Replies<R extends Placed> = { [S in Statuses<R>]: Reply<S, Body<R['responses'][S]>> }[Statuses<R>]

/** The handler of a row may return the bare body only if the row has one success status. */
type Bare<R extends Placed, S = Statuses<R>> =
  S extends Statuses<R> ? ([Statuses<R>] extends [S] ? Body<R['responses'][S]> : never) : never

interface Callers {
  public: undefined
  account: { account: Account; sessionId: string }
  key: { key: Customer }
  operator: Operator
  'admin-key': Operator
}

/** A caller, and why the gate refuses it; undefined for a caller who is admitted. */
interface Gated {
  caller: Callers[Row['auth']] | KeyCallers
  refusal: DomainError | undefined
  /** The name of the operator's service that sends the request. */
  service?: string | undefined
  /** The operator who sends the request. */
  operator?: Operator
  /** Refuses a caller whom the domain call would refuse, if the request does not get so far. */
  check?: () => Promise<void>
  /** The session of a caller who has one, which may have to be recent. */
  session?: OperatorCaller['session']
}

/** The request as a handler sees it: only what its row declares. */
export interface Request<R extends Placed> {
  path: Parsed<R['path']>
  query: Parsed<R['query']>
  headers: Parsed<R['headers']>
  body: R['raw'] extends true ? Uint8Array : Parsed<R['body']>
  /** The account, which the gate has read, or the application key, unchecked; undefined for a public row. */
  caller: R extends { customers: 'each' } ? KeyCallers : Callers[R['auth']]
  deps: Deps<R['needs'][number]>
}

/** Headers of every answer: no answer may be framed, sniffed or executed, nor cached unless its row says so. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
}

type Handle<R extends Placed> = (request: Request<R>) => Promise<Replies<R> | Bare<R>>

/**
 * The Lambda handler of a row: gate, input, limit, proof, domain call, output, in this order, and one log line.
 *
 * @param handle returns the body of the row's only success status, or `reply(status, body)` where there are
 *   several.
 * @param repeat for a row with `refusalAfter`: answers a caller whom the gate refuses so, if the request
 *   repeats one that has succeeded. It throws the refusal that it is given for every other request.
 */
export function endpoint<const R extends Placed>(
  row: R,
  handle: Handle<R>,
  repeat?: (request: Request<R>, refusal: DomainError) => ReturnType<Handle<R>>,
) {
  // The ports open during init, when Lambda gives the full CPU. A missing setting is logged here by name;
  // requests only get a 500.
  const opened = live(row.needs as readonly Need[])
  const ports = row.needs.includes('identity') ? opened.then((all) => takeTurns(row, all)) : opened
  ports.catch((error: Error) => {
    print({ level: 'fatal', route: routeOf(row), message: error.message })
  })

  const isGuarded = guardsOf(row).length > 0

  return middy<Event, Result>()
    .use(logLine(row))
    .use(sourceHeaders())
    .use(errorFormat(row))
    .use(callerFirst)
    .handler(async (event: Event): Promise<Result> => {
      const { headers, requestContext } = event
      // API Gateway has checked a signature of AWS credentials, which is for the API's own address.
      const isSigned = requestContext.authorizer?.iam
      const isPastEdge = isClosed() && !isSigned && !isFromEdge(event, edgeSecret())
      // As the gateway answers what it does not have. Nothing is read or counted.
      if (isPastEdge || event.pathParameters?.slash)
        return json(404, { message: 'Not Found' }, SECURITY_HEADERS)
      const told = { requestId: requestContext.requestId, route: routeOf(row) }
      const gateDeps = { ...(await ports), sessionsSinceMs: sessionsSinceMs(), log: requestLog.within(told) }
      const address = sourceAddress(event, edgeSecret())
      const source = sourceName(gateDeps, address, gateDeps.clock.nowMs())
      callers.set(event, source)
      const { caller, refusal, ...asking } = await callerOf(row, gateDeps, event, address)
      const names = namesOf(asking)
      callers.set(event, { ...source, ...names })
      if (asking.check) checks.set(event, asking.check)
      const log = requestLog.within({ ...told, ...names })
      const origin = originOf(row, event, address, asking.operator?.name)
      const deps = { ...gateDeps, log, origin } as unknown as Request<R>['deps']
      const request = () => ({ ...inputOf(row, event), caller, deps }) as Request<R>
      if (refusal) {
        if (!repeat || refusal.code !== row.refusalAfter) throw refusal
        // The repeat changes nothing, so its caller, whose session has ended, needs no recent proof.
        return success(row, await repeat(orRefuse(request, refusal), refusal))
      }
      const wanted = request()
      if (isGuarded) {
        const states = await limitSource(row, headers, address)
        sourceLimits.set(event, limitHeaders(states))
        requireWithinLimit(states)
        if (asksPeople(row))
          await requirePerson(deps as unknown as Deps<'challenge'>, states, headers, address)
      }
      // An operator with AWS credentials has no session: each of their requests is signed.
      if (row.proof === 'recent' && asking.session) await checkProof(deps, asking.session, headers)
      const cookie = row.sessionCookie && cookieSession(row, event, wanted.body)
      if (!cookie) return success(row, await handle(wanted))
      cookieSessions.set(event, cookie)
      const body = { ...(wanted.body as object), refreshToken: cookie.refreshToken }
      return cookie.answered(success(row, await handle({ ...wanted, body } as Request<R>)))
    })
}

/** Where the source of a request stands with its limits, as headers, by the event of the request. */
const sourceLimits = new WeakMap<object, Record<string, string>>()

/** Adds these headers to the answer, whether it is a success or an error. */
function sourceHeaders(): middy.MiddlewareObj<Event, Result> {
  const add: middy.MiddlewareFn<Event, Result> = ({ event, response }) => {
    if (response) response.headers = { ...response.headers, ...sourceLimits.get(event) }
  }
  return { after: add, onError: add }
}

/** The sessions in cookies by the event of their request, for errors. */
const cookieSessions = new WeakMap<object, CookieSession>()

const ORIGINS = {
  public: 'anyone',
  account: 'owner',
  key: 'key',
  operator: 'operator',
  'admin-key': 'operator',
} as const

/** Who sends the request, for the audit log. @param name that of the operator */
const originOf = (row: Placed, { requestContext }: Event, ip: string, name?: string): Origin => ({
  by: ORIGINS[row.auth],
  ...(name !== undefined && { name }),
  requestId: requestContext.requestId,
  ip,
})

/** What the request brings, parsed by the row's schemas. */
function inputOf(row: Placed, event: Event) {
  const body = row.raw ? rawBody(event, RAW_BODY_LIMIT) : parseBody(event, row.form === true)
  if (body !== undefined && !row.raw && !row.body && !isEmptyObject(body)) throw unexpectedBody()
  return {
    path: row.path && validate(row.path, event.pathParameters ?? {}),
    query: row.query && validate(row.query, event.queryStringParameters ?? {}),
    headers: row.headers && validate(row.headers, event.headers),
    body: row.body ? validate(row.body, body) : body,
  }
}

/** A caller whom the gate refuses does not learn what is wrong with the input. */
function orRefuse<T>(make: () => T, refusal: DomainError): T {
  try {
    return make()
  } catch {
    throw refusal
  }
}

async function callerOf(row: Placed, deps: unknown, event: Event, address: string): Promise<Gated> {
  if (row.auth === 'public') return { caller: undefined, refusal: undefined }
  if (row.auth === 'key') {
    const isOptional = row.customers === 'each'
    const sent = await keyCaller(deps as Deps<'table' | 'keyring'>, event.headers, address, isOptional)
    const { check, ...caller } = sent
    return { caller, refusal: undefined, service: caller.service, check }
  }
  if (row.auth === 'operator') {
    const { operator, session } = await operatorCaller(row, deps, event.requestContext.authorizer)
    return { caller: operator, refusal: undefined, operator, session }
  }
  if (row.auth === 'admin-key') {
    const operator = await adminKeyCaller(row, deps as Deps<'table' | 'keyring'>, event.headers)
    return { caller: operator, refusal: undefined, operator }
  }
  const { refusal, ...caller } = await gate(row, deps, event.requestContext.authorizer?.lambda)
  return { caller, refusal, session: caller }
}

const isEmptyObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0

const unexpectedBody = () =>
  new DomainError('invalid_request', { fields: [{ field: 'body', message: 'must be empty here' }] })

/** Parses the answer with its schema: an undeclared field is dropped, a wrong type becomes a 500. */
function success(row: Placed, answer: unknown): Result {
  const { status, body, headers } =
    answer instanceof Reply ? answer : reply(Number(Object.keys(row.responses)[0]), answer)
  const schema = row.responses[status]
  if (!schema) return { statusCode: status, headers: { ...SECURITY_HEADERS, ...headers } }
  return json(status, parse(schema, body), {
    ...SECURITY_HEADERS,
    ...(row.maxAgeSeconds && { 'cache-control': `public, max-age=${row.maxAgeSeconds}` }),
    ...replayHeader(body ?? {}),
    ...rateHeaders(body ?? {}),
    ...headers,
  })
}

const json = (statusCode: number, body: unknown, headers: Record<string, string>): Result => ({
  statusCode,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

/** The checks of callers by the event of their request, for errors. */
const checks = new WeakMap<object, () => Promise<void>>()

/** What is wrong with a request apart from its caller. */
const OF_THE_INPUT: readonly ErrorCode[] = [
  'invalid_request',
  'malformed_body',
  'payload_too_large',
  'unsupported_media_type',
  'not_found',
]

/** Only a caller who is not refused learns what is wrong with the input. */
const callerFirst: middy.MiddlewareObj<Event, Result> = {
  async onError(request) {
    if (!OF_THE_INPUT.includes(asDomainError(request.error).code)) return
    await checks
      .get(request.event)?.()
      .catch((refusal: Error) => {
        request.error = refusal
      })
  },
}

/** Turns every error into the dialect's format. */
function errorFormat(row: Placed): middy.MiddlewareObj<Event, Result> {
  return {
    onError(request) {
      const error = asDomainError(request.error)
      const { status, authenticate = 'Bearer' } = problems[error.code]
      const headers: Record<string, string> = {
        ...SECURITY_HEADERS,
        ...replayHeader(error),
        ...rateHeaders(error),
      }
      if (status === 401) headers['www-authenticate'] = authenticate
      const retryAfter = retryAfterOf(error)
      if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter)
      const { requestId } = request.event.requestContext
      const response =
        row.dialect === 'rest' && !wantsProblem(request.event.headers)
          ? json(status, skylinkFailure(error), headers)
          : json(status, problemDetails(error, requestId), {
              ...headers,
              'content-type': 'application/problem+json',
            })
      request.response = cookieSessions.get(request.event)?.refused(response, error.code) ?? response
    },
  }
}

/**
 * Whether a caller of `/rest` asks for problem details, which have a code, in place of Skylink's message. Only a caller
 * who names the type does; Skylink's callers never do.
 */
const wantsProblem = ({ accept = '' }: Event['headers']): boolean =>
  accept.includes('application/problem+json')

const asDomainError = (error: unknown): DomainError =>
  error instanceof DomainError ? error : new DomainError('internal_error', { cause: error })

/** The name of a row in log lines. */
const routeOf = ({ dialect, file }: Placed): string => `${dialect}/${file}`

/** What the log says of a caller who has a name: one of the operator's services, or an operator. */
const namesOf = ({ service, operator }: Pick<Gated, 'service' | 'operator'>): Record<string, string> => ({
  ...(service !== undefined && { service }),
  ...(operator && { operator: operator.name }),
})

/** The names of callers by the event of their request, for the log line. */
const callers = new WeakMap<object, Record<string, string>>()

/**
 * Writes one JSON line per request, with the code and class of an error but not its message: it may quote
 * secrets.
 */
function logLine(row: Placed): middy.MiddlewareObj<Event, Result> {
  const startedMs = new WeakMap<object, number>()
  const write: middy.MiddlewareFn<Event, Result> = ({ event, response, error }) => {
    const { requestId, authorizer } = event.requestContext
    const status = response?.statusCode ?? 500
    const failed = error && asDomainError(error)
    print({
      level: status >= 500 ? 'error' : 'info',
      requestId,
      route: routeOf(row),
      status,
      ms: Math.round(performance.now() - (startedMs.get(event) ?? 0)),
      accountId: authorizer?.lambda?.accountId,
      ...callers.get(event),
      ...(failed && (status >= 500 ? failureOf(failed) : { error: failed.code })),
    })
  }
  return {
    before: ({ event }) => {
      startedMs.set(event, performance.now())
    },
    after: write,
    onError: write,
  }
}
