import type { $ZodType } from 'zod/v4/core'
import { toJSONSchema } from 'zod/v4/core'
import type { Placed } from '../../http/route.ts'
import type { Input } from './command.ts'

interface FieldSchema {
  type?: string | string[]
  anyOf?: FieldSchema[]
  items?: FieldSchema
}

/** The fields without which a row refuses a request. */
export const requiredOf = ({ path, query, body }: Placed): string[] =>
  [path, query, body].flatMap((schema) =>
    schema
      ? ((toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as { required?: string[] })
          .required ?? [])
      : [],
  )

/** The fields of a part of a row, by name, as JSON Schema. */
export const fieldsOf = (schema: $ZodType | undefined): Record<string, FieldSchema> =>
  schema
    ? (((toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as { properties?: object })
        .properties as Record<string, FieldSchema>) ?? {})
    : {}

const typesOf = ({ type, anyOf = [] }: FieldSchema): string[] => [type ?? [], anyOf.flatMap(typesOf)].flat()

const fieldOf = ({ path, query, body }: Placed, name: string): FieldSchema | undefined =>
  ({ ...fieldsOf(query), ...fieldsOf(body), ...fieldsOf(path) })[name]

/** Whether a flag for the field has no value, because the field is true or false. */
export const isSwitch = (row: Placed, name: string): boolean =>
  typesOf(fieldOf(row, name) ?? {}).join() === 'boolean'

/**
 * A typed text as the value of a row's field. A list is typed with commas.
 * @throws Error with a sentence for the person, if the field is a number and the text is none
 */
export function typedValue(row: Placed, name: string, text: string): unknown {
  const schema = fieldOf(row, name) ?? {}
  const types = typesOf(schema)
  if (types.includes('array')) return text.split(',')
  if (types.includes('string') || !types.some((type) => type === 'number' || type === 'integer')) return text
  const number = Number(text)
  if (text.trim() === '' || !Number.isFinite(number))
    throw new Error(`${name} is a number; "${text}" is none.`)
  return number
}

/** What of the input belongs to a part of the request. */
export const partOf = (schema: $ZodType | undefined, input: Input): Record<string, unknown> => {
  const names = Object.keys(fieldsOf(schema))
  return Object.fromEntries(Object.entries(input).filter(([name]) => names.includes(name)))
}
