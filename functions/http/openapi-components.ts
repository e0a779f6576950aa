import type { $ZodType } from 'zod/v4/core'
import { insideOf, shapeNames } from './openapi-names.ts'
import { type JsonSchema, writeSchemas } from './openapi-schemas.ts'
import type { Placed } from './route.ts'

/** The schemas of some rows, with references to those that have a name. */
export interface Shapes {
  /** What a caller sends: a body, or the object of all parameters of a place. */
  sent(schema: $ZodType): JsonSchema
  answered(schema: $ZodType): JsonSchema
  components: Record<string, JsonSchema>
}

const present = <T>(values: readonly (T | null | undefined)[]): T[] =>
  values.filter((value) => value !== null && value !== undefined)

/**
 * The schemas of these rows. What is sent may have fewer members than what is answered, so a shape for both has two
 * components if they differ, `Catalogue` and `CatalogueToSend`.
 */
export function shapesOf(rows: readonly Placed[]): Shapes {
  const names = shapeNames(rows)
  const bodies = present(rows.map(({ body }) => body)).map(insideOf)
  const answers = present(rows.flatMap(({ responses }) => Object.values(responses)))
  const answered = writeSchemas(answers, names, 'output')
  const differ = (name: string, sent: JsonSchema): boolean =>
    JSON.stringify(answered.components[name]) !== JSON.stringify(sent)
  const parameters = rows.flatMap(({ path, query, headers }) => present([path, query, headers]))
  const plain = writeSchemas([...bodies, ...parameters], names, 'input')
  const isAnswered = new Set(answered.refs(answers))
  const both = plain
    .refs(bodies)
    .filter((name) => isAnswered.has(name) && differ(name, plain.components[name] ?? {}))
  const renamed = new Map(
    [...names].map(([schema, name]) => [schema, both.includes(name) ? `${name}ToSend` : name]),
  )
  const sent = writeSchemas([...bodies, ...parameters], renamed, 'input')
  return {
    sent: (schema) => sent.of(insideOf(schema)),
    answered: answered.of,
    components: {
      ...pick(sent.components, sent.refs(bodies)),
      ...pick(answered.components, answered.refs(answers)),
    },
  }
}

const pick = (from: Record<string, JsonSchema>, names: readonly string[]): Record<string, JsonSchema> =>
  Object.fromEntries(names.map((name) => [name, from[name] ?? {}]))
