import type { $ZodType as Schema } from 'zod/v4/core'
import type { ErrorCode } from '../../core/errors.ts'
import type { Role } from '../../core/operators/operator.ts'
import type { Ports } from '../../core/ports.ts'

/** API Gateway's route key: a method, a space, a path with `{parameters}`. */
export type RouteKey = `${'GET' | 'POST' | 'PUT' | 'DELETE'} /${string}`

/**
 * The key for API Gateway. An HTTP API refuses keys that end in a slash, so those end in `{slash+}`, which
 * also matches an empty rest. `endpoint` answers 404 if the rest is not empty.
 */
export const gatewayKey = (key: RouteKey): string => (key.endsWith('/') ? `${key}{slash+}` : key)

/** The key of an operator's route for the console: an account's access token is checked in place of a signature. */
export const consoleKey = (key: RouteKey): RouteKey => key.replace(' /ops/', ' /console/') as RouteKey

/** A folder under `functions/`, which also decides the format of errors. */
export type Dialect = 'api' | 'v1' | 'rest' | 'webhooks' | 'http' | 'ops' | 'admin'

/** A port that a row may need; every handler has the others. `needs.ts` says what each need takes. */
export type Need = Exclude<keyof Ports, 'clock' | 'ids' | 'log'>

/** The ports that check a proof, for rows with `proof: 'recent'`. */
export const PROOF_NEEDS = ['table', 'identity', 'secrets', 'keyring', 'totp'] as const satisfies Need[]

/**
 * What a request to a row costs, or lets its sender try, so that it has to be limited: guesses at a `password` or a
 * `code`, tries of a `card`, a `mail` that strangers can cause, a call of the password `vault`, an account (`signup`).
 */
export type Guard = 'password' | 'code' | 'card' | 'mail' | 'vault' | 'signup'

/** What a proof in the headers of a request lets its sender try. */
export const PROOF_GUARDS = ['password', 'code', 'vault'] as const satisfies Guard[]

/** Everything that requests to a row cost or try: by its handler, and by the guard that checks a proof. */
export const guardsOf = ({ guards = [], proof }: Pick<Row, 'guards' | 'proof'>): readonly Guard[] =>
  proof === 'recent' ? [...new Set([...guards, ...PROOF_GUARDS])] : guards

/** Whether a row may ask strangers to show that they are no program: where they make accounts or mails, or try passwords. */
export const asksPeople = ({ guards, needs }: Pick<Row, 'guards' | 'needs'>): boolean =>
  guards !== undefined && needs.includes('challenge')

/** One endpoint as pure data: everything that is known about the endpoint before its handler runs. */
export type Row = CustomerRow | OperatorRow | AdminKeyRow

/** An endpoint for customers, for other systems or for anyone. */
export interface CustomerRow extends AnyRow {
  /**
   * `public`: anyone. `account`: an access token, checked by the authorizer, then the account gate. `key`: an
   * application key, which the domain checks in the write that spends, or the credential of one of the operator's
   * services, which names its customer (`key-caller.ts`).
   */
  auth: 'public' | 'account' | 'key'
  role?: undefined
}

/** An endpoint for operators: whoever runs the deployment, and those who help its customers. */
export interface OperatorRow extends AnyRow {
  /**
   * A principal of AWS IAM, which API Gateway has checked; or, at the same path with `/console/` in place of `/ops/`, an
   * account that is an operator. For whatever changes something, such an account has to prove who it is: `place` gives
   * the row `proof: 'recent'`.
   */
  auth: 'operator'
  /** The least role that may call it. The path begins with it, `/ops/<role>/`, so that an IAM policy can name it. */
  role: Role
}

/** An endpoint for programs that act as operators, in the dialect of EMCP's admin API. */
export interface AdminKeyRow extends AnyRow {
  /** An admin key in the header `Api-Key`, which `admin-key-caller.ts` checks. The row needs the table and the keyring. */
  auth: 'admin-key'
  /** The least role of a key that may call it. */
  role: Role
}

/** The operators' endpoints about one noun, by their names. */
export type OperatorRows = Record<string, OperatorRow>

interface AnyRow {
  /** One Lambda may serve several route keys: a trailing slash, or a second method for the same work. */
  routes: readonly [RouteKey, ...RouteKey[]]
  /**
   * What the endpoint does, in one line and the third person: for the OpenAPI document, README and
   * deployment.
   */
  summary: string
  /**
   * What a caller must know, in Markdown, for the OpenAPI document: limits, lifetimes, what a repeat does,
   * what each status means. Bundles leave it out.
   */
  description?: string
  /** For `key`: each request in the body may name a customer of its own, if a service sends it. */
  customers?: 'each'
  /** For a public endpoint that also takes an access token, which its handler checks. */
  token?: 'optional'
  /**
   * For endpoints that change who gets into an account. `recent`: `endpoint` demands that the session's user
   * proved who they are in the last ten minutes, or a proof in the headers `X-Proof-Password` or
   * `X-Proof-Code`. `own`: the domain call takes the proof from the body and demands it.
   */
  proof?: 'recent' | 'own'
  /**
   * What requests cost or try. `endpoint` counts them for each network address, and the gateway bounds them for all
   * callers together. The row needs the table and the keyring.
   */
  guards?: readonly Guard[]
  /**
   * For the refresh token in a cookie, if the body has `"session": "cookie"`: `given` with the answer, or `taken` from the
   * request, too (`session-cookie.ts`). No other row reads or sets a cookie.
   */
  sessionCookie?: 'given' | 'taken'
  path?: Schema
  query?: Schema
  /** Lower-cased headers that the handler sees. */
  headers?: Schema
  body?: Schema
  /** The handler gets the unparsed bytes of the body, and `body` is not used. */
  raw?: true
  /** The body may also come as `application/x-www-form-urlencoded`. */
  form?: true
  /** Success answers by status; null is an answer without a body. */
  responses: Readonly<Record<number, Schema | null>>
  /** Error codes of this endpoint's domain call; `errorsOf` adds those of the stack around the handler. */
  errors: readonly ErrorCode[]
  /**
   * What the gate says to the caller once this row has succeeded. A request that is refused so may be a repeat,
   * which the handler's `repeat` answers.
   */
  refusalAfter?: 'session_ended' | 'account_deactivated'
  /** A GET that keeps in the table what it has read elsewhere. */
  caches?: true
  /** Seconds for which anybody may keep the answer, which is the same for all; without it nobody may. */
  maxAgeSeconds?: number
  needs: readonly Need[]
}

/** The file of a row or a job: its name in kebab-case. */
export const fileOf = (name: string): string => name.replace(/[A-Z0-9]+/g, (run) => `-${run.toLowerCase()}`)

/** A row with its place: `functions/<dialect>/<file>.ts`, whose name is the row's in kebab-case. */
export type Placed<R extends Row = Row> = R & { dialect: Dialect; name: string; file: string }

/** Whether a row only reads, so that it answers an access token that came from an application key. */
export const isRead = ({ routes }: Pick<Row, 'routes'>): boolean =>
  routes.every((route) => route.startsWith('GET '))

/** Whatever an operator changes, at the console they prove first who they are. The role `read` changes nothing. */
const asksProof = ({ auth, role, routes }: Row): boolean =>
  auth === 'operator' && role !== 'read' && !routes[0].startsWith('GET ')

/** Gives each row its dialect, its name and its file. */
export function place<const T extends Record<string, Row>>(
  dialect: Dialect,
  rows: T,
): { readonly [K in keyof T]: Placed<T[K]> } {
  const placed = Object.entries(rows).map(([name, row]) => [
    name,
    { ...row, ...(asksProof(row) && { proof: 'recent' }), dialect, name, file: fileOf(name) },
  ])
  return Object.fromEntries(placed) as { readonly [K in keyof T]: Placed<T[K]> }
}
