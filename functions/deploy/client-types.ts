import { toJSONSchema } from 'zod/v4/core'
import { names } from '../client/names.ts'
import { problems } from '../http/problems.ts'
import type { Placed } from '../http/route.ts'
import { customerRows } from '../http/rows.ts'

/** The part of JSON Schema that the rows' schemas become. */
interface Schema {
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: Schema | boolean
  propertyNames?: Schema
}

type Kind = NonNullable<Placed['body']>

const schemaOf = (kind: Kind, io: 'input' | 'output'): Schema =>
  toJSONSchema(kind, { io, unrepresentable: 'any' }) as Schema

const PLAIN: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  null: 'null',
}

/**
 * The TypeScript of a schema.
 * @throws for a schema of a kind that no row had so far, so that no type is less than it could be
 */
function typeOf(schema: Schema): string {
  const { type, anyOf = schema.oneOf, items = {} } = schema
  if ('const' in schema) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (anyOf) return anyOf.map(typeOf).join(' | ')
  if (Array.isArray(type)) return type.map((each) => typeOf({ ...schema, type: each })).join(' | ')
  if (type === undefined && Object.keys(schema).length === 0) return 'unknown'
  if (type === 'array') return `(${typeOf(items)})[]`
  if (type === 'object') return objectType(schema)
  const plain = PLAIN[type ?? '']
  if (plain === undefined) throw new Error(`no type for ${JSON.stringify(schema)}`)
  return plain
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema): string {
  const fields = Object.entries(properties).map(([name, schema]) => {
    const type = typeOf(schema)
    return required.includes(name)
      ? `${JSON.stringify(name)}: ${type}`
      : `${JSON.stringify(name)}?: ${type} | undefined`
  })
  const more = typeof additionalProperties === 'object'
  if (more) fields.push(`[key: string]: ${fields.length > 0 ? 'unknown' : typeOf(additionalProperties)}`)
  return fields.length > 0 ? `{ ${fields.join('; ')} }` : 'Record<string, never>'
}

/** The value of a part of a request, which may be left out as a whole if it is optional. */
function sentType(kind: Kind | undefined): string {
  if (!kind) return 'undefined'
  const isOptional = kind._zod.optin === 'optional'
  return typeOf(schemaOf(kind, 'input')) + (isOptional ? ' | undefined' : '')
}

const answerType = ({ responses }: Placed): string =>
  Object.values(responses)
    .map((kind) => (kind ? typeOf(schemaOf(kind, 'output')) : 'undefined'))
    .join(' | ')

/** The rows by the name of each in the client. */
export const namedRows = (): [name: string, row: Placed][] =>
  Object.entries(names).map(([name, key]) => {
    const row = customerRows.find((each) => `${each.dialect}.${each.name}` === key)
    if (!row) throw new Error(`functions/client/names.ts names ${key}, which is no row`)
    return [name, row]
  })

/** A route that `fetch` can send: it sends no body with GET. */
const routeOf = ({ routes, body }: Placed): string =>
  routes.find((key) => !(body && key.startsWith('GET '))) ?? routes[0]

/** The file that takes the place of `functions/client/wire.ts` in the package: the same types, spelled out. */
export function wireTypes(): string {
  const endpoints = namedRows().map(([name, row]) =>
    [
      `  /** ${row.summary}. \`${routeOf(row)}\` */`,
      `  '${name}': {`,
      `    path: ${row.path ? 'string' : 'undefined'}`,
      `    query: ${sentType(row.query)}`,
      `    body: ${row.raw ? 'string | Uint8Array<ArrayBuffer>' : sentType(row.body)}`,
      `    answer: ${answerType(row)}`,
      '  }',
    ].join('\n'),
  )
  const codes = Object.keys(problems).map((code) => `  | '${code}'`)
  return [
    '/** What each endpoint takes and answers, by its name in the client. */',
    `export interface Endpoints {\n${endpoints.join('\n')}\n}\n`,
    '/** The error codes that Bursar answers. */',
    `export type ErrorCode =\n${codes.join('\n')}\n`,
  ].join('\n')
}

/**
 * Rows whose request the client does not repeat after a lost answer, because a code or a passkey of the request may be
 * used up. The customer tries again with another one.
 */
export const NOT_REPEATED: readonly string[] = ['v1.login', 'v1.passkeyLogin']

const fieldsOf = (kind: Kind | null | undefined, io: 'input' | 'output'): string[] =>
  kind ? Object.keys(schemaOf(kind, io).properties ?? {}) : []

function wordsOf(row: Placed): string[] {
  const answers = Object.values(row.responses).flatMap((kind) => fieldsOf(kind, 'output'))
  const words = {
    [row.token ?? row.auth]: true,
    query: row.query,
    body: row.body,
    raw: row.raw,
    named: fieldsOf(row.headers, 'input').includes('idempotency-key'),
    repeats: !NOT_REPEATED.includes(`${row.dialect}.${row.name}`),
    tokens: answers.includes('refreshToken'),
    link: fieldsOf(row.query, 'input').includes('cursor'),
    next: fieldsOf(row.body, 'input').includes('cursor') && answers.includes('next'),
  }
  return Object.entries(words).flatMap(([word, holds]) => (holds ? [word] : []))
}

/** `functions/client/endpoints.ts`: what the client knows of each endpoint at run time. */
export function endpointsFile(): string {
  const lines = namedRows().map(
    ([name, row]) => `  '${name}': '${[routeOf(row), ...wordsOf(row)].join(' ')}',`,
  )
  return `// Written by \`npm run generate\` from the rows.

/**
 * What the client knows of each endpoint: method, path and words.
 * - \`public\`, \`optional\`, \`account\`, \`key\`: no credentials, an access token if there is one, an access token, an
 *   application key
 * - \`query\`, \`body\`, \`raw\`: what the input becomes
 * - \`named\`: takes an Idempotency-Key
 * - \`repeats\`: a repeat of a request that succeeded changes nothing more
 * - \`tokens\`: answers the tokens of a session
 * - \`link\`, \`next\`: the Link header, or \`next\` of the answer, leads to the next page
 */
export const endpoints = {
${lines.join('\n')}
} as const

export type EndpointName = keyof typeof endpoints
`
}
