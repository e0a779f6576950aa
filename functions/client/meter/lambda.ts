import type { Metering } from './metering.ts'
import { type MeteredRequest, type Rule, type Taking, takeUnits } from './protect.ts'
import type { Refused } from './spender.ts'

type Headers = Record<string, string | undefined>

/** The part of an API Gateway event, of payload format 1.0 or 2.0, that the adapters use. */
export interface GatewayEvent {
  version?: string
  headers?: Headers | null
  httpMethod?: string
  path?: string
  rawPath?: string
  requestContext?: {
    http?: { method?: string; path?: string; sourceIp?: string }
    identity?: { sourceIp?: string | null }
  }
}
/** An event of a Lambda authorizer. `TOKEN` is of REST APIs. */
export interface AuthorizerEvent extends GatewayEvent {
  type?: string
  authorizationToken?: string
  methodArn?: string
  routeArn?: string
}

export interface MiddyRequest {
  // biome-ignore lint/suspicious/noExplicitAny: middy's own types leave event and response to the handler
  event: any
  // biome-ignore lint/suspicious/noExplicitAny: see above
  response?: any
  error?: Error | null
}

/** middy middleware. The function waits for a settle, because Lambda freezes what is under way after the answer. */
export function middyMiddleware(metering: Metering, rule: Rule<GatewayEvent>) {
  const takings = new WeakMap<object, Taking>()
  return {
    async before(request: MiddyRequest) {
      const taking = await takeUnits(metering, eventRequest(request.event), metering.ruleOf(rule))
      if ('refused' in taking) {
        const { status, headers, body } = taking.refused
        return { statusCode: status, headers, body }
      }
      takings.set(request, taking)
      metering.show(request.event, taking)
      return undefined
    },
    async after(request: MiddyRequest) {
      const taking = takings.get(request)
      const { response } = request
      const isAnswer = typeof response === 'object' && response !== null && 'statusCode' in response
      if (taking && isAnswer) response.headers = { ...taking.headers, ...response.headers }
      await taking?.end(isAnswer && Number(response.statusCode) >= 500)
    },
    async onError(request: MiddyRequest) {
      await takings.get(request)?.end(!isClientError(request.error))
    },
  }
}

/** An error of http-errors below 500 is an answer to the client. */
const isClientError = (error: unknown): boolean => {
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
}

/** Values for handlers, flat because REST APIs pass nothing else on. */
export type AuthorizerContext = Record<string, string | number>

export interface SimpleVerdict {
  isAuthorized: boolean
  context: AuthorizerContext
}
export interface PolicyVerdict {
  principalId: string
  policyDocument: {
    Version: string
    Statement: { Action: string; Effect: 'Allow' | 'Deny'; Resource: string }[]
  }
  context: AuthorizerContext
}

/**
 * A Lambda authorizer of HTTP and REST APIs. API Gateway lets an authorizer answer 401 and 403 only: another refusal is a
 * 403 with the `code` and the `status` in its context, which a gateway response of a REST API can show.
 * @throws Error `Unauthorized` for 401, as API Gateway wants it; another one, answered 500, if Bursar does not answer
 */
export function authorizer(metering: Metering, rule: Rule<AuthorizerEvent>, isCached: boolean) {
  return async (event: AuthorizerEvent): Promise<SimpleVerdict | PolicyVerdict> => {
    const request = eventRequest(event)
    const own = metering.ruleOf<AuthorizerEvent>({ ...rule, reserve: false, ...(isCached && { units: 0 }) })
    const taking = await takeUnits(metering, request, own)
    const refused = 'refused' in taking ? taking.decision : undefined
    if (refused?.status === 401) throw new Error('Unauthorized')
    if (refused?.status === 503) throw new Error(`Metering is unavailable (${refused.code}).`)
    const context = 'refused' in taking ? refusedContext(taking.decision) : allowedContext(taking)
    const isAuthorized = refused === undefined
    return event.methodArn === undefined || event.version === '2.0'
      ? { isAuthorized, context }
      : policy(event.methodArn, isAuthorized, context, isCached)
  }
}

const refusedContext = ({ code, status }: Refused): AuthorizerContext => ({ code, status })

function allowedContext({ metered: { account, key, left } }: Taking): AuthorizerContext {
  return {
    ...(account !== undefined && { account }),
    ...(key !== undefined && { keyId: key.id, scopes: (key.scopes ?? []).join(' ') }),
    ...(left !== undefined && { left }),
  }
}

/** A policy that is cached counts for every method of the stage, since the cache does not look at the method. */
function policy(
  methodArn: string,
  isAllowed: boolean,
  context: AuthorizerContext,
  isCached: boolean,
): PolicyVerdict {
  const [api = '', stage = ''] = methodArn.split('/')
  const Resource = isCached ? `${api}/${stage}/*` : methodArn
  const Effect = isAllowed ? 'Allow' : 'Deny'
  const Statement = [{ Action: 'execute-api:Invoke', Effect, Resource } as const]
  const principalId = String(context.account ?? 'customer')
  return { principalId, policyDocument: { Version: '2012-10-17', Statement }, context }
}

function eventRequest<Event extends AuthorizerEvent>(event: Event): MeteredRequest<Event> {
  const { http, identity } = event.requestContext ?? {}
  const headers = new Map(
    Object.entries(event.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  )
  if (event.authorizationToken !== undefined) headers.set('authorization', event.authorizationToken)
  return {
    method: http?.method ?? event.httpMethod ?? 'GET',
    path: event.rawPath ?? event.path ?? '/',
    header: (name) => headers.get(name),
    ip: http?.sourceIp ?? identity?.sourceIp ?? undefined,
    raw: event,
  }
}
