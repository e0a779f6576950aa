import { expect } from 'vitest'
import type { $ZodType } from 'zod/v4/core'
import { safeParse, toJSONSchema } from 'zod/v4/core'
import type { ErrorCode } from '../../core/errors.ts'
import { schemaOfCode } from '../../functions/http/openapi-problems.ts'
import { problems } from '../../functions/http/problems.ts'
import type { Placed } from '../../functions/http/route.ts'
import { errorsOf } from '../../functions/http/row-errors.ts'
import type { App } from '../support/app.ts'
import type { TestAnswer } from '../support/send.ts'

/** Method and target of a row's route; a missing path parameter becomes `x`. */
export function targetOf(route: string, path: Record<string, string> = {}): [method: string, target: string] {
  const [method = '', pattern = ''] = route.split(' ')
  return [method, pattern.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(path[name] ?? 'x'))]
}

/**
 * All calls to other services since `resetCalls`, by operation; `{}` means that nothing was read or changed.
 */
export function outsideCalls(app: App): Record<string, number> {
  const { dynamodb, cognito, mail, kms, stripe } = app.calls()
  return { ...dynamodb, ...cognito, ...mail, ...kms, ...stripe }
}

const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
}

/** Matches internals that no answer may show: machines, code, vendors, the table and its keys. */
const INSIDE =
  /\barn:|amazonaws|dynamo|cognito|\baws\b|lambda|exception|\bzod|user ?pool|Transaction(?:Cancel|Conflict|InProgress)|ConditionalCheck|(?:ACCOUNT|EMAIL|USERNAME|CODE|APIKEY|SERVICE|ADMINKEY)#|#PROFILE|#GUARD|node_modules|file:\/\/|\.[jt]s:\d|\n\s+at |127\.0\.0\.1|ECONN|ETIMEDOUT|undefined|\[object/i

/** Asserts that an answer keeps its row's contract, has no undeclared field and shows no internals. */
export function expectContract(row: Placed, answer: TestAnswer): void {
  const { status, headers, text, body } = answer
  const schema = row.responses[status]
  const kept = schema && row.maxAgeSeconds && { 'cache-control': `public, max-age=${row.maxAgeSeconds}` }
  expect(Object.fromEntries(headers)).toMatchObject({ ...SECURITY_HEADERS, ...kept })
  if (schema === null) {
    expect([text, headers.get('content-type')]).toEqual(['', null])
  } else if (schema) {
    expect(headers.get('content-type')).toBe('application/json')
    expect(undeclared(jsonSchema(schema, 'output'), body)).toEqual([])
  } else {
    expectDeclaredError(row, answer)
    const id = headers.get('apigw-requestid') ?? ''
    expect(text.replaceAll('urn:bursar:problem:', '').replaceAll(id, '')).not.toMatch(INSIDE)
  }
}

/** Errors whose detail depends on the request. */
const OWN_DETAIL: readonly ErrorCode[] = ['invalid_request', 'malformed_body', 'payload_too_large']

/** As `expectContract`, and asserts that the answer is this error in the format of the row's dialect. */
export function expectError(row: Placed, answer: TestAnswer, code: ErrorCode): void {
  expectContract(row, answer)
  const { status, title, detail } = problems[code]
  expect([row.name, answer.status]).toEqual([row.name, status])
  if (row.dialect !== 'rest') expect(answer.body).toMatchObject({ type: urn(code), title, status })
  else if (!OWN_DETAIL.includes(code)) expect(answer.body.message).toBe(detail)
}

const urn = (code: ErrorCode) => `urn:bursar:problem:${code}`

function expectDeclaredError(row: Placed, { status, headers, body }: TestAnswer): void {
  const codes = errorsOf(row).filter((code) => problems[code].status === status)
  expect(codes, `${status} is undeclared`).not.toEqual([])
  if (row.dialect === 'rest') {
    expect(headers.get('content-type')).toBe('application/json')
    expect(body).toEqual({ status: 0, message: expect.stringMatching(/^.{3,}$/) })
    return
  }
  expect(headers.get('content-type')).toBe('application/problem+json')
  expect(codes.map(urn)).toContain(body.type)
  const code = body.type.split(':').at(-1) as ErrorCode
  // The document has this schema: the members of the code, and no other.
  expect([code, safeParse(schemaOfCode(code), body).error?.issues ?? []]).toEqual([code, []])
  expect(body.detail).toMatch(/^[A-Z].*\.$/)
  const wait = headers.get('retry-after')
  expect(body).toMatchObject({
    requestId: headers.get('apigw-requestid'),
    ...(headers.get('idempotent-replayed') === 'true' && { replayed: true }),
    ...(wait !== null && { retryAfter: Number(wait) }),
  })
  expect(['retryAfter' in body, 'replayed' in body]).toEqual([
    wait !== null,
    headers.has('idempotent-replayed'),
  ])
}

export interface JsonSchema {
  type?: string | string[]
  properties?: Record<string, JsonSchema>
  required?: string[]
  additionalProperties?: boolean | JsonSchema
  items?: JsonSchema
  anyOf?: JsonSchema[]
  const?: unknown
  enum?: unknown[]
  maxLength?: number
  pattern?: string
  format?: string
}

export const jsonSchema = (schema: $ZodType, io: 'input' | 'output') =>
  toJSONSchema(schema, { io, unrepresentable: 'any' }) as JsonSchema

/** Paths of the fields that an answer has and its schema does not. */
function undeclared(schema: JsonSchema, value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value))
    return value.flatMap((each, at) => undeclared(schema.items ?? {}, each, `${path}[${at}]`))
  const isOpen = ({ additionalProperties }: JsonSchema) => typeof additionalProperties === 'object'
  const shapes = [schema, ...(schema.anyOf ?? [])].filter((shape) => shape.properties || isOpen(shape))
  const open = shapes.some(isOpen)
  return Object.entries(value).flatMap(([name, each]) => {
    const inner = shapes.map(({ properties }) => properties?.[name]).find(Boolean)
    if (inner) return undeclared(inner, each, `${path}.${name}`)
    return open ? [] : [`${path}.${name}`]
  })
}

/** The JSON types that a schema accepts. */
export function typesOf({ type, anyOf, enum: values, ...schema }: JsonSchema): string[] {
  const constants = 'const' in schema ? [schema.const] : (values ?? [])
  const named = [type ?? constants.map((each) => (each === null ? 'null' : typeof each))]
    .flat()
    .map((name) => (name === 'integer' ? 'number' : name))
  return [...named, ...(anyOf ?? []).flatMap(typesOf)]
}

/** JSON values of every type as text, because some numbers do not fit a double. */
export const VALUES: [type: string, json: string][] = [
  ['null', 'null'],
  ['boolean', 'true'],
  ['number', '1'],
  ['number', '1e400'],
  ['number', '-1e400'],
  ['string', '"true"'],
  ['string', '"1e400"'],
  ['array', '[]'],
  ['array', '["x"]'],
  ['object', '{}'],
  ['object', '{"$ne":null}'],
]

/** The JSON text of an object whose values are JSON text already. */
export const jsonText = (fields: [name: string, json: string][]): string =>
  `{${fields.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`

/** The fields of an object as JSON text. */
export const fieldsOf = (body: Record<string, unknown>): [name: string, json: string][] =>
  Object.entries(body).map(([name, value]) => [name, JSON.stringify(value)])
