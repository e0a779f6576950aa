import {
  type Answer,
  type Attempt,
  abortable,
  type Effects,
  type Fetch,
  realEffects,
  sendRepeatedly,
} from './attempt.ts'
import { type EndpointName, endpoints } from './endpoints.ts'
import { BursarError } from './errors.ts'
import { cursorOf, type Listing, listing } from './listing.ts'
import { newRequestId } from './request-id.ts'
import { openSession, type Session, type Tokens } from './session.ts'
import type { Endpoints } from './wire.ts'

export type { ClientErrorCode, RefusedField } from './errors.ts'
// biome-ignore lint/performance/noBarrelFile: the entry of the package, which users import all of this from
export { BursarError } from './errors.ts'
export type { Listing, Page } from './listing.ts'
export { newRequestId } from './request-id.ts'
export type { Tokens } from './session.ts'
export type { Endpoints, ErrorCode } from './wire.ts'

export interface ClientOptions {
  /** Where Bursar answers, such as `https://api.example.com`. */
  url: string
  /** The tokens of a session that was kept. Signing in with the client sets them too. */
  tokens?: Tokens | undefined
  /**
   * For a page of the same origin as Bursar: the browser keeps the refresh token in a cookie that no script can read, and
   * the access token stays in memory. Signing in, refreshing and signing out use the cookie; after a reload `restore`
   * or the first call gets the session back.
   */
  session?: 'cookie' | undefined
  /** Hears of every change of the tokens, to keep them; undefined means signed out. Calls wait for its promise. */
  onTokens?: ((tokens: Tokens | undefined) => unknown) | undefined
  /**
   * Shows the challenge of `siteKey` (Cloudflare Turnstile) and gives its answer, with which the call is then made again.
   * Only deployments that use challenges ask for one, and only where many requests come from one network. Without this
   * the call throws `challenge_required`.
   */
  onChallenge?: ((challenge: { siteKey: string }) => Promise<string>) | undefined
  /** The application key of endpoints that take one. */
  key?: string | undefined
  /** After so many milliseconds one try is given up; 30,000 by default. */
  timeoutMs?: number | undefined
  /** How often a request is repeated at most; 2 by default. */
  retries?: number | undefined
  /**
   * The longest wait before a repeat, milliseconds; 10,000 by default. If Retry-After asks for a longer one, the error is
   * thrown at once, with `retryAfter`.
   */
  maxWaitMs?: number | undefined
  /** In place of the global `fetch`. */
  fetch?: Fetch | undefined
}

/** Settings of one call. */
export interface CallOptions {
  signal?: AbortSignal | undefined
  timeoutMs?: number | undefined
  retries?: number | undefined
  /** To repeat an earlier call, for endpoints that take one. By default each call makes one and keeps it over retries. */
  idempotencyKey?: string | undefined
  /** Proves who uses the session, for endpoints that change who gets into an account. */
  proof?: { password: string } | { code: string } | undefined
  /** In place of the client's application key. */
  key?: string | undefined
  /** In place of the client's session; an expired one is not refreshed. */
  accessToken?: string | undefined
  headers?: Readonly<Record<string, string>> | undefined
  /** Sees the status and the headers of the success. */
  onAnswer?: ((answer: { status: number; headers: Headers }) => void) | undefined
}

interface Endpoint {
  path: unknown
  query: unknown
  body: unknown
  answer: unknown
}

/** The body, or the query of an endpoint without one. */
type Input<E extends Endpoint> = [E['body']] extends [undefined] ? E['query'] : E['body']

type InputArgument<I> = [I] extends [undefined]
  ? []
  : Record<never, never> extends I
    ? [input?: I]
    : [input: I]

type Arguments<E extends Endpoint> = [
  ...(E['path'] extends string ? [id: string] : []),
  ...(undefined extends Input<E>
    ? [Input<E>] extends [undefined]
      ? []
      : [input?: Input<E>]
    : InputArgument<Input<E>>),
  options?: CallOptions,
]

type Result<E extends Endpoint> = E extends { query: { cursor?: string | undefined }; answer: (infer Item)[] }
  ? Listing<Item>
  : E extends { answer: { next: string | null } }
    ? Listing<E['answer']>
    : Promise<E['answer']>

/** The call of an endpoint: the id in its path, its body or query, and settings. */
export type Call<E extends Endpoint> = (...args: Arguments<E>) => Result<E>

type Noun = EndpointName extends `${infer N}.${string}` ? N : never

/** Every endpoint by noun and verb, such as `client.keys.create({ name })`. */
export type Calls = {
  readonly [N in Noun]: {
    readonly [E in keyof Endpoints as E extends `${N}.${infer Verb}` ? Verb : never]: Call<Endpoints[E]>
  }
}

export type Client = Calls & {
  /** The current tokens; undefined while nobody is signed in. */
  tokens(): Tokens | undefined
  /**
   * Whether somebody is signed in. With `session: 'cookie'` it asks Bursar when the page has just been loaded.
   * @throws BursarError if that cannot be found out, as without a connection
   */
  restore(): Promise<boolean>
}

/** What is known of an endpoint at run time. */
interface Known {
  method: string
  path: string
  has(word: string): boolean
}

function known(name: EndpointName): Known {
  const [method = '', path = '', ...words] = endpoints[name].split(' ')
  return { method, path, has: (word) => words.includes(word) }
}

/** One call, taken apart. */
interface Request {
  endpoint: Known
  id: string | undefined
  input: unknown
  options: CallOptions
}

function requestOf(name: EndpointName, args: readonly unknown[]): Request {
  const endpoint = known(name)
  const rest = [...args]
  const id = endpoint.path.includes('{') ? (rest.shift() as string) : undefined
  const input = ['query', 'body', 'raw'].some(endpoint.has) ? rest.shift() : undefined
  return { endpoint, id, input, options: (rest.shift() ?? {}) as CallOptions }
}

/** The path with its parameter. `.` and `..` would lead to another endpoint, however they are encoded. */
function pathOf({ endpoint, id }: Request): string {
  if (!endpoint.path.includes('{')) return endpoint.path
  if (typeof id !== 'string' || /^\.{0,2}$/.test(id)) {
    throw new TypeError(`${endpoint.method} ${endpoint.path} needs an id.`)
  }
  return endpoint.path.replace(/\{\w+\}/, encodeURIComponent(id))
}

function queryOf(input: unknown): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input ?? {})) {
    if (value !== undefined) query.set(name, String(value))
  }
  return query.size > 0 ? `?${query}` : ''
}

/** A text as the bytes of its UTF-8, each as one character: the form in which a header can hold it. */
const headerText = (text: string): string => String.fromCharCode(...new TextEncoder().encode(text))

/** The error of `fetch` for an impossible header would quote the secret. */
function bearer(secret: string): Record<string, string> {
  if (!/^[!-~]+$/.test(secret)) throw new TypeError('The key or token has characters that none can have.')
  return { authorization: `Bearer ${secret}` }
}

const sent = (name: string, text: string | undefined): Record<string, string> =>
  text === undefined ? {} : { [name]: text }

/** The headers of a call without its credentials. They are the same in every repeat. */
function headersOf({ endpoint, input, options }: Request): Record<string, string> {
  const { proof } = options
  const named = typeof input === 'object' && input !== null && 'requestId' in input && input.requestId
  const ownKey = endpoint.has('named') && !named ? newRequestId() : undefined
  const hasJson = endpoint.has('body') && input !== undefined
  return {
    // Skylink's endpoints explain an error only to those who ask for it.
    accept: 'application/json, application/problem+json',
    ...sent('content-type', hasJson ? 'application/json' : undefined),
    ...sent('idempotency-key', options.idempotencyKey ?? ownKey),
    ...sent('x-proof-password', proof && 'password' in proof ? headerText(proof.password) : undefined),
    ...sent('x-proof-code', proof && 'code' in proof ? headerText(proof.code) : undefined),
    ...options.headers,
  }
}

/** The error of `fetch` for an impossible header would quote it, and would look like a lost connection. */
function checked(headers: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\t -~\x80-\xff]*$/.test(value))
      throw new TypeError(`The header ${name} has characters that no header can have.`)
  }
  return headers
}

function bodyOf({ endpoint, input }: Request): Attempt['body'] {
  if (endpoint.has('raw')) return input as Attempt['body']
  return endpoint.has('body') && input !== undefined ? JSON.stringify(input) : undefined
}

const baseOf = (url: string): string => {
  const { origin, pathname, protocol } = new URL(url)
  if (!/^https?:$/.test(protocol)) throw new TypeError(`The url of createClient must begin with http: ${url}`)
  return origin + pathname.replace(/\/+$/, '')
}

type Send = (credentials: Record<string, string>) => Promise<Answer>

/** Sends a call for the session. A token that has expired is replaced, and the call repeated once. */
async function sendForAccount(session: Session, options: CallOptions, send: Send): Promise<Answer> {
  if (options.accessToken !== undefined) return send(bearer(options.accessToken))
  const { signal } = options
  const token = await abortable(session.accessToken(), signal)
  let used = token
  try {
    try {
      return await send(bearer(token))
    } catch (error) {
      if (!(error instanceof BursarError) || error.code !== 'token_expired') throw error
    }
    used = await abortable(session.accessToken(token), signal)
    return await send(bearer(used))
  } catch (error) {
    if (error instanceof BursarError && error.code === 'session_ended') await session.end(used)
    throw error
  }
}

/** Sends a call for anybody. Who is asked to show that they are no program does so once. */
async function sendForPerson(
  { onChallenge }: ClientOptions,
  credentials: Record<string, string>,
  send: Send,
): Promise<Answer> {
  try {
    return await send(credentials)
  } catch (error) {
    if (!onChallenge || !(error instanceof BursarError) || error.code !== 'challenge_required') throw error
    const answer = await onChallenge({ siteKey: error.siteKey })
    return send({ ...credentials, 'x-challenge-response': answer })
  }
}

function keyOf(options: CallOptions, settings: ClientOptions): string {
  const key = options.key ?? settings.key
  if (key !== undefined) return key
  const message = 'This call needs an application key: createClient({ url, key }), or `key` in its options.'
  throw new BursarError('unauthorized', { status: 401, message })
}

/**
 * As `createClient`, with the effects of a test.
 * @internal
 */
export function createClientWith(settings: ClientOptions, effects: Effects): Client {
  const base = baseOf(settings.url)
  const session: Session = openSession({
    first: settings.tokens,
    inCookie: settings.session === 'cookie',
    onTokens: settings.onTokens ?? (() => {}),
    async refresh(refreshToken) {
      const input = session.placed({ refreshToken })
      const { body } = await answerOf(requestOf('sessions.refresh', [input]))
      return tokensOf(body)
    },
  })

  function send(request: Request): Promise<Answer> {
    const { endpoint, options, input } = request
    const headers = checked(headersOf(request))
    const attempt = {
      method: endpoint.method,
      url: base + pathOf(request) + (endpoint.has('query') ? queryOf(input) : ''),
      body: bodyOf(request),
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? settings.timeoutMs ?? 30_000,
    }
    const policy = {
      retries: options.retries ?? settings.retries ?? 2,
      maxWaitMs: settings.maxWaitMs ?? 10_000,
      repeats: endpoint.has('repeats'),
      named: endpoint.has('named'),
    }
    const fetch = settings.fetch ?? globalThis.fetch
    const withCredentials: Send = (credentials) =>
      sendRepeatedly(
        (url, init) => fetch(url, init),
        { ...attempt, headers: { ...headers, ...credentials } },
        policy,
        effects,
      )
    if (endpoint.has('account')) return sendForAccount(session, options, withCredentials)
    if (endpoint.has('key')) return withCredentials(bearer(keyOf(options, settings)))
    const token = endpoint.has('optional')
      ? (options.accessToken ?? session.tokens()?.accessToken)
      : undefined
    return sendForPerson(settings, token === undefined ? {} : bearer(token), withCredentials)
  }

  async function answerOf(request: Request): Promise<Answer> {
    const answer = await send(request)
    request.options.onAnswer?.({ status: answer.status, headers: answer.headers })
    return answer
  }

  async function run(name: EndpointName, request: Request): Promise<unknown> {
    if (name === 'sessions.logout') return logOut(request)
    if (!request.endpoint.has('tokens')) return (await answerOf(request)).body
    const { body } = await answerOf({ ...request, input: session.placed(request.input as Tokens) })
    await session.set(tokensOf(body))
    return body
  }

  /** Signs out with the client's refresh token unless the caller names another: an expired access token does not matter then. */
  async function logOut(request: Request): Promise<undefined> {
    const before = session.tokens()
    const input: Tokens = { refreshToken: before?.refreshToken, ...(request.input as object) }
    const isOwn = request.options.accessToken === undefined && input.refreshToken === before?.refreshToken
    const forget = async () => {
      const isHeld = before !== undefined || session.inCookie
      if (isOwn && isHeld && session.tokens() === before) await session.set(undefined)
    }
    try {
      await answerOf({ ...request, input: isOwn ? session.placed(input) : input })
    } catch (error) {
      if (error instanceof BursarError && error.code === 'session_ended') await forget()
      throw error
    }
    await forget()
  }

  function call(name: EndpointName, args: readonly unknown[]): unknown {
    const request = requestOf(name, args)
    const isLinked = request.endpoint.has('link')
    if (!isLinked && !request.endpoint.has('next')) return run(name, request)
    return listing(async (cursor) => {
      const input = cursor === undefined ? request.input : { ...(request.input as object), cursor }
      const { body, headers } = await answerOf({ ...request, input })
      if (isLinked !== Array.isArray(body) || !body) throw unexpected('The answer is no list.')
      if (isLinked) return { items: body as unknown[], cursor: cursorOf(headers.get('link')) }
      return { items: [body], cursor: (body as { next: string | null }).next ?? undefined }
    })
  }

  return { ...callsBy(call), tokens: session.tokens, restore: session.restore }
}

function callsBy(call: (name: EndpointName, args: readonly unknown[]) => unknown): Calls {
  const nouns: Record<string, Record<string, unknown>> = {}
  for (const name of Object.keys(endpoints) as EndpointName[]) {
    const [noun = '', verb = ''] = name.split('.')
    nouns[noun] ??= {}
    nouns[noun][verb] = (...args: unknown[]) => call(name, args)
  }
  return nouns as unknown as Calls
}

const unexpected = (message: string) => new BursarError('unexpected_answer', { status: 200, message })

function tokensOf(body: unknown): Tokens {
  const { accessToken, refreshToken } = (body ?? {}) as Tokens
  if (typeof accessToken !== 'string') throw unexpected('The answer has no tokens.')
  return { accessToken, refreshToken }
}

/**
 * Makes a client for Bursar.
 *
 * - Every endpoint is a call by noun and verb: `await client.bundle.buy()`.
 * - A call that fails throws a `BursarError`; an aborted one throws the reason of its signal.
 * - An expired access token is replaced, once for all calls under way, and the calls are repeated.
 * - Endpoints that take an Idempotency-Key get one, the same in every repeat of a call.
 * - 429 and Retry-After are obeyed. After a 5xx or a lost answer a request is repeated only where a repeat changes
 *   nothing more.
 * @throws TypeError if `url` is none
 */
export const createClient = (options: ClientOptions): Client => createClientWith(options, realEffects)
