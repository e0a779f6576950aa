type Json = Record<string, unknown>

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null

/**
 * What DynamoDB refuses in a request and the local database takes: names and values that no expression uses.
 * @returns DynamoDB's own sentence; undefined if each is used. Looks into the writes of a transaction too.
 */
export function unusedPlaceholders(input: Json): string | undefined {
  const texts = Object.entries(input).flatMap(([name, text]) =>
    /Expression$/.test(name) ? [String(text)] : [],
  )
  const used = new Set(texts.join(' ').match(/[#:]\w+/g))
  for (const part of ['ExpressionAttributeNames', 'ExpressionAttributeValues']) {
    const given = input[part]
    const unused = isObject(given) ? Object.keys(given).filter((placeholder) => !used.has(placeholder)) : []
    if (unused.length > 0) {
      return `Value provided in ${part} unused in expressions: keys: {${unused.join(', ')}}`
    }
  }
  const writes = Array.isArray(input.TransactItems) ? input.TransactItems.flatMap(Object.values) : []
  return writes.filter(isObject).map(unusedPlaceholders).find(Boolean)
}
