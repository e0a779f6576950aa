import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { $ZodType } from 'zod/v4/core'
import { safeParse } from 'zod/v4/core'
import type { Placed } from './route.ts'

/** A request with which an endpoint succeeds, and what it answers, by status. */
export interface Example {
  path?: Record<string, string>
  query?: Record<string, string>
  body?: unknown
  answers?: Record<string, unknown>
}

/** What the endpoints answer to the samples of the tests. `npm run generate` adds what is missing. */
export const EXAMPLES_FILE = join(import.meta.dirname, 'openapi-examples.json')

/** The example of each row, by `<dialect>.<name>`. */
export const readExamples = (): Record<string, Example> =>
  existsSync(EXAMPLES_FILE) ? JSON.parse(readFileSync(EXAMPLES_FILE, 'utf8')) : {}

export const exampleKey = ({ dialect, name }: Placed): string => `${dialect}.${name}`

/** The answer of this row is the document, which cannot be part of itself. */
export const hasExample = (row: Placed): boolean => exampleKey(row) !== 'http.openapiDocument'

/** Whether a row takes the example's request and gives its answer. */
export function fits(row: Placed, example: Example | undefined): boolean {
  if (!example) return false
  const { path, query, body, answers = {} } = example
  const takes = (schema: $ZodType | undefined, value: unknown) => !schema || safeParse(schema, value).success
  const statuses = Object.keys(answers)
  const mayBeEmpty = Object.values(row.responses).some((schema) => schema === null)
  return (
    takes(row.path, path ?? {}) &&
    takes(row.query, query ?? {}) &&
    takes(row.body, body) &&
    (statuses.length > 0 || mayBeEmpty) &&
    statuses.every((status) => {
      const schema = row.responses[Number(status)]
      return schema ? takes(schema, answers[status]) : false
    })
  )
}
