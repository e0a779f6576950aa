/** Reads an OpenAPI 3.1 document for the reference. */

export interface Schema {
  $ref?: string
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  description?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  allOf?: Schema[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  examples?: unknown[]
  example?: unknown
  format?: string
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
}

interface Media {
  schema?: Schema
  example?: unknown
  examples?: Record<string, { value?: unknown }>
}

interface Part {
  $ref?: string
  description?: string
  content?: Record<string, Media>
}

interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  description?: string
  schema?: Schema
  example?: unknown
}

interface PathOperation {
  operationId: string
  summary: string
  description?: string
  tags?: string[]
  deprecated?: boolean
  security?: Record<string, unknown>[]
  parameters?: Parameter[]
  requestBody?: Part
  responses: Record<string, Part>
}

export interface OpenApi {
  info: { version: string; description: string }
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, PathOperation>>
  components: { schemas: Record<string, Schema>; responses?: Record<string, Part> }
}

/** One endpoint, with what the reference shows of it. */
export interface Operation {
  /** `v1.login`, which is also its anchor. */
  id: string
  method: string
  path: string
  tag: string
  summary: string
  description: string
  deprecated: boolean
  /** What a caller sends to be let in, in words. */
  needs: string
  parameters: Fields
  /** The values of the parameters in the path that an example shows. */
  pathExamples: Record<string, string>
  body: Media | undefined
  answers: { status: string; schema: Schema | undefined }[]
  /** The codes of its errors. */
  errors: string[]
  credential: 'token' | 'key' | 'none'
}

export type Fields = readonly {
  name: string
  type: string
  required: boolean
  description: string
  inner: Fields
}[]

/** A schema or a part itself, if it is a reference to one. */
export function resolve<T extends { $ref?: string }>(document: OpenApi, value: T | undefined): T | undefined {
  if (value?.$ref === undefined) return value
  const path = value.$ref.split('/').slice(1)
  const found = path.reduce<unknown>((part, name) => (part as Record<string, unknown>)?.[name], document)
  return resolve(document, found as T | undefined)
}

/** A schema with its own members and those of the schemas that it adds up. */
export function flat(document: OpenApi, schema: Schema | undefined): Schema {
  const { allOf = [], ...own } = resolve(document, schema) ?? {}
  const parts = allOf.map((part) => flat(document, part))
  return {
    ...Object.assign({}, ...parts),
    ...own,
    properties: Object.assign({}, ...parts.map((part) => part.properties ?? {}), own.properties),
    required: [...parts.flatMap((part) => part.required ?? []), ...(own.required ?? [])],
  }
}

const NEEDS = { token: 'access token', key: 'application key', none: 'open to everybody' } as const

function credentialOf({ security = [] }: PathOperation): Operation['credential'] {
  const names = security.flatMap((one) => Object.keys(one))
  if (names.includes('accessToken')) return 'token'
  return names.length > 0 ? 'key' : 'none'
}

/** All operations in the order of the document. Of several paths of one row each is shown. */
export function operationsOf(document: OpenApi): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => /^(get|put|post|delete)$/.test(method))
      .map(([method, operation]) => operationOf(document, method.toUpperCase(), path, operation)),
  )
}

function operationOf(document: OpenApi, method: string, path: string, operation: PathOperation): Operation {
  const responses = Object.entries(operation.responses).map(
    ([status, response]) => [status, resolve(document, response)] as const,
  )
  const parameters = (operation.parameters ?? []).map((one) =>
    resolve(document, one as Parameter & { $ref?: string }),
  )
  const body = resolve(document, operation.requestBody)
  const credential = credentialOf(operation)
  const known = parameters.filter((one) => one !== undefined)
  return {
    id: operation.operationId,
    method,
    path,
    tag: operation.tags?.[0] ?? '',
    summary: operation.summary,
    description: operation.description ?? '',
    deprecated: operation.deprecated ?? false,
    needs: NEEDS[credential],
    credential,
    parameters: known.map(({ name, in: place, required = false, description = '', schema }) => ({
      name,
      type: `${place}, ${typeOf(document, schema)}`,
      required,
      description,
      inner: [],
    })),
    pathExamples: Object.fromEntries(
      known
        .filter((one) => one.in === 'path')
        .map(({ name, example }) => [name, String(example ?? `{${name}}`)]),
    ),
    body: body?.content && Object.values(body.content)[0],
    answers: responses
      .filter(([status]) => status < '300')
      .map(([status, part]) => ({ status, schema: part?.content && Object.values(part.content)[0]?.schema })),
    errors: responses.flatMap(([status, part]) => (status < '400' ? [] : codesOf(document, part))).sort(),
  }
}

const PROBLEM = 'urn:bursar:problem:'

/** The codes of the problems that a response can have. */
function codesOf(document: OpenApi, part: Part | undefined): string[] {
  const schemas = Object.values(part?.content ?? {}).map(({ schema }) => resolve(document, schema))
  return schemas
    .flatMap((schema) => schema?.oneOf ?? [schema])
    .map((schema) => flat(document, schema).properties?.type?.const)
    .filter((type) => typeof type === 'string' && type.startsWith(PROBLEM))
    .map((type) => String(type).slice(PROBLEM.length))
}

/** The type of a schema in words, such as `integer from 1` or `"on" | "off"`. */
export function typeOf(document: OpenApi, given: Schema | undefined): string {
  const schema = flat(document, given)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return [...new Set(choices.map((one) => typeOf(document, one)))].join(' | ')
  if (schema.type === 'array') return `list of ${typeOf(document, schema.items)}`
  const type = [schema.type ?? 'anything'].flat().join(' | ')
  const { minimum, maximum, minLength, maxLength } = schema
  const [least, most] = [minimum ?? minLength, maximum ?? maxLength]
  // JSON Schema writes the limits of JavaScript's integers where there are none.
  const bounds = [
    least !== undefined && least > -9e15 ? ` from ${least}` : '',
    most !== undefined && most < 9e15 ? ` to ${most}` : '',
  ].join('')
  return `${type}${bounds}${bounds && type === 'string' ? ' characters' : ''}`
}

/** The members of a body or of an answer; those of a list are its items'. */
export function fieldsOf(document: OpenApi, given: Schema | Media, depth = 4): Fields {
  const schema = flat(document, 'schema' in given && given.schema ? given.schema : (given as Schema))
  if (schema.items) return fieldsOf(document, schema.items, depth)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices && Object.keys(schema.properties ?? {}).length === 0) {
    const [first] = choices.filter((one) => flat(document, one).type !== 'null')
    return first ? fieldsOf(document, first, depth) : []
  }
  return Object.entries(schema.properties ?? {}).map(([name, value]) => ({
    name,
    type: typeOf(document, value),
    required: schema.required?.includes(name) ?? false,
    description: resolve(document, value)?.description ?? '',
    inner: depth > 0 ? fieldsOf(document, value, depth - 1) : [],
  }))
}
