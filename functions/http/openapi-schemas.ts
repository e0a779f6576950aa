import type { $ZodType } from 'zod/v4/core'
import { $ZodRegistry, toJSONSchema } from 'zod/v4/core'

/** A schema of the document: JSON Schema 2020-12, as OpenAPI 3.1 has it. */
export type JsonSchema = Record<string, unknown>

type Way = 'input' | 'output'

const REF = '#/components/schemas/'

/** The name of the component to which a value refers, if that is what it is. */
export const nameIn = (value: unknown): string | undefined => {
  const { $ref } = value as { $ref?: unknown }
  return typeof $ref === 'string' && $ref.startsWith(REF) ? $ref.slice(REF.length) : undefined
}

export const refTo = (name: string): JsonSchema => ({ $ref: REF + name })

/** What a schema's checks say of a value that they refuse, such as `must be visible ASCII`. */
function ruleOf({ _zod: { def } }: $ZodType): string | undefined {
  const rules = (def.checks ?? []).flatMap(({ _zod: { def } }) => {
    const rule = typeof def.error === 'function' ? def.error({ code: 'custom' } as never) : undefined
    return typeof rule === 'string' && rule.startsWith('must ') ? [rule] : []
  })
  return rules.length > 0 ? `M${[...new Set(rules)].join('; ').slice(1)}.` : undefined
}

/** Whether a schema lists the numbers that it takes, all of them whole. */
function isWhole({ const: only, enum: listed = only }: JsonSchema): boolean {
  const numbers = [listed].flat()
  return numbers.every(Number.isInteger)
}

/** Takes away what says nothing to a reader, and tells the rule that no keyword can. */
function polish(schema: $ZodType, json: JsonSchema, way: Way): void {
  // The pattern of a date or time, which the format says in a word.
  if (typeof json.format === 'string') delete json.pattern
  // Many tools read patterns without Unicode's classes, and would refuse what Bursar takes. The description has the rule.
  if (String(json.pattern).includes('\\p{')) delete json.pattern
  if (json.minimum === Number.MIN_SAFE_INTEGER) delete json.minimum
  if (json.maximum === Number.MAX_SAFE_INTEGER) delete json.maximum
  if (isWhole(json)) json.type = 'integer'
  // A later deployment may answer more.
  if (way === 'output' && json.additionalProperties === false) delete json.additionalProperties
  // What a browser adds to a passkey, for example, is ignored.
  if (way === 'input' && json.properties && !('additionalProperties' in json))
    json.additionalProperties = true
  const rule = ruleOf(schema)
  if (rule !== undefined) json.description = rule
}

/** Adds the names of all components that a value refers to, directly or through other components. */
function addNames(value: unknown, components: Record<string, JsonSchema>, found: Set<string>): void {
  if (typeof value !== 'object' || value === null) return
  const name = nameIn(value)
  if (name !== undefined && !found.has(name)) addNames(components[name], components, found.add(name))
  for (const each of Object.values(value)) addNames(each, components, found)
}

/** The marks of schemas without a name, which stand where they are used. */
const INLINE = '~'

/** Schemas as a document has them. */
interface Written {
  /** A reference for a schema with a name, and the schema itself for any other. */
  of(schema: $ZodType): JsonSchema
  /** Also those without a name, to which nothing refers. */
  components: Record<string, JsonSchema>
  /** The names of the components that these schemas need. */
  refs(schemas: readonly $ZodType[]): string[]
}

/** Writes schemas with a reference for each that has a name, wherever it is part of another. */
export function writeSchemas(
  schemas: readonly $ZodType[],
  names: ReadonlyMap<$ZodType, string>,
  way: Way,
): Written {
  const ids = new Map(names)
  for (const schema of schemas) if (!ids.has(schema)) ids.set(schema, `${INLINE}${ids.size}`)
  const registry = new $ZodRegistry<{ id: string }>()
  for (const [schema, id] of ids) registry.add(schema, { id })
  const written = toJSONSchema(registry as never, {
    io: way,
    unrepresentable: 'any',
    uri: (id: string) => REF + id,
    override: ({ zodSchema, jsonSchema }: { zodSchema: $ZodType; jsonSchema: JsonSchema }) =>
      polish(zodSchema, jsonSchema, way),
  }) as unknown as { schemas: Record<string, JsonSchema> }
  const components = Object.fromEntries(
    Object.entries(written.schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]),
  )
  const of = (schema: $ZodType): JsonSchema => {
    const id = ids.get(schema) ?? INLINE
    return id.startsWith(INLINE) ? (components[id] ?? {}) : refTo(id)
  }
  return {
    of,
    components,
    refs(wanted) {
      const found = new Set<string>()
      addNames(wanted.map(of), components, found)
      return [...found]
    },
  }
}
