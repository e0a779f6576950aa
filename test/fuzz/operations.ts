import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import type { JsonSchema } from '../conformance/contract.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** Levels of a description that are resolved; no schema refers to itself. */
const DEEPEST = 40
const DOCUMENTS = ['functions/openapi.json', 'functions/ops/openapi.json']

/** A method of a path in one of the two documents, with the row behind it. */
export interface Operation {
  row: Placed
  /** The key of the route, such as `GET /v1/usage`. */
  route: string
  /** What the document says of the input. References are resolved. */
  query: Record<string, JsonSchema>
  headers: Record<string, JsonSchema>
  body: JsonSchema | undefined
}

interface Parameter {
  name: string
  in: 'path' | 'query' | 'header' | 'cookie'
  schema: JsonSchema
}

interface Described {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { schema: JsonSchema }> }
}

/** Every method of every path that the two documents have. */
export const operations: readonly Operation[] = DOCUMENTS.flatMap((file) => {
  const document = JSON.parse(readFileSync(join(ROOT, file), 'utf8'))
  const resolved = (value: unknown): unknown => resolve(document, value, 0)
  return Object.entries(document.paths as Record<string, Record<string, unknown>>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, described]) => {
        const route = `${method.toUpperCase()} ${path}`
        const row = rows.find(({ routes }) => routes.some((each) => each === route))
        if (!row) throw new Error(`no row has the route ${route} of ${file}`)
        const { parameters = [], requestBody } = resolved(described) as Described
        const of = (place: Parameter['in']) =>
          Object.fromEntries(
            parameters.filter((each) => each.in === place).map(({ name, schema }) => [name, schema]),
          )
        return {
          row,
          route,
          query: of('query'),
          headers: of('header'),
          body: requestBody?.content['application/json']?.schema,
        }
      }),
  )
})

function resolve(document: unknown, value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return value
  if (Array.isArray(value)) return value.map((each) => resolve(document, each, depth + 1))
  const { $ref } = value as { $ref?: string }
  if ($ref !== undefined) {
    const found = $ref
      .slice(2)
      .split('/')
      .reduce((at, name) => (at as Record<string, unknown>)[name.replaceAll('~1', '/')], document)
    return resolve(document, found, depth + 1)
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, resolve(document, each, depth + 1)]),
  )
}
