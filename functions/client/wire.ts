import type { $ZodType, output } from 'zod/v4/core'
import type { ErrorCode as DomainErrorCode } from '../../core/errors.ts'
import type { api } from '../api/routes.ts'
import type { Row } from '../http/route.ts'
import type { http } from '../http/routes.ts'
import type { rest } from '../rest/routes.ts'
import type { v1 } from '../v1/routes.ts'
import type { webhooks } from '../webhooks/routes.ts'
import type { names } from './names.ts'

/*
 * The types that the client takes from the rest of Bursar. The published `.d.ts` must stand alone, so
 * `functions/deploy/client.ts` puts a file in the place of this one in which the same types are spelled out.
 */

interface Dialects {
  api: typeof api
  http: typeof http
  rest: typeof rest
  v1: typeof v1
  webhooks: typeof webhooks
}

/** The row of a name such as `v1.consume`. */
type RowOf<Name> = Name extends `${infer D extends keyof Dialects}.${infer N}`
  ? N extends keyof Dialects[D]
    ? Dialects[D][N]
    : never
  : never

/**
 * A value as it is sent. It is the schema's output: the input of a field that may be left empty is of any type, since
 * a transformation comes first, and no schema of a row changes a type otherwise.
 */
type Value<S> = S extends $ZodType ? output<S> : undefined

type Answer<R extends Row> = { [S in keyof R['responses']]: Value<R['responses'][S]> }[keyof R['responses']]

type Sent<R extends Row, Part extends 'body' | 'query'> = R extends { [P in Part]: infer S extends $ZodType }
  ? output<S>
  : undefined

interface Typed<R extends Row> {
  /** The parameter in the path; undefined without one. */
  path: R extends { path: $ZodType } ? string : undefined
  query: Sent<R, 'query'>
  /** The body; the bytes of a raw one; undefined without one. */
  body: R extends { raw: true } ? string | Uint8Array<ArrayBuffer> : Sent<R, 'body'>
  /** The body of the answer, of any success status; undefined for an answer without a body. */
  answer: Answer<R>
}

/** What each endpoint takes and answers, by its name in the client. */
export type Endpoints = { [N in keyof typeof names]: Typed<RowOf<(typeof names)[N]>> }

/** The error codes that Bursar answers. */
export type ErrorCode = DomainErrorCode
