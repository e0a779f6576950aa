import type { Item } from './table.ts'

interface Types {
  number: number
  string: string
}

/**
 * Reads an attribute that a stored item always has. Consumes read stored items with this function instead of
 * zod schemas, whose creation would be a quarter of a container's start.
 * @throws Error if the attribute is missing or has another type.
 */
export function stored<T extends keyof Types>(item: Item, name: string, type: T): Types[T] {
  const value = item[name]
  if (typeof value !== type) throw new Error(`A stored item has no ${type} ${name}.`)
  return value as Types[T]
}
