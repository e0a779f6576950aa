import type { Shapes } from './openapi-components.ts'
import { type JsonSchema, nameIn } from './openapi-schemas.ts'
import type { Placed } from './route.ts'

/** An item about more fields than this groups them, and describes none. */
const MOST = 2

/** What a row's description says of single fields: its items that begin with their names, such as "- `armed` says …". */
const itemsOf = (description: string): { fields: string[]; text: string }[] =>
  description.split('\n').flatMap((line) => {
    const [, names = ''] = /^- ((?:`\w+`(?:, | and )?)+)/.exec(line) ?? []
    const fields = [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
    return fields.length > 0 && fields.length <= MOST ? [{ fields, text: line.slice('- '.length) }] : []
  })

/** Gives the fields of the components the descriptions that the rows have for them. */
export function describeFields(rows: readonly Placed[], { sent, answered, components }: Shapes): void {
  for (const { description = '', body, responses } of rows) {
    const schemas = Object.values(responses).flatMap((schema) => (schema ? [answered(schema)] : []))
    for (const schema of [...(body ? [sent(body)] : []), ...schemas]) {
      const { properties = {} } = (components[nameIn(schema.items ?? schema) ?? ''] ?? {}) as {
        properties?: Record<string, JsonSchema>
      }
      for (const { fields, text } of itemsOf(description)) {
        for (const name of fields) {
          const field = properties[name]
          if (field && !('description' in field)) field.description = text
        }
      }
    }
  }
}
