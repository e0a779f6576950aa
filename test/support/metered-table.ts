import { ConditionFailed, type Item, type Table } from '../../core/table/table.ts'
import { sizeOf } from './quota.ts'

const writeUnits = (item: Item | undefined): number => Math.max(1, Math.ceil(sizeOf(item ?? {}) / 1024))
const readUnits = (items: readonly Item[]): number =>
  Math.max(1, Math.ceil(items.reduce((sum, item) => sum + sizeOf(item), 0) / 4096))

/** The same table, which counts the units that DynamoDB would charge: strongly consistent reads, plain writes. */
export function metered(table: Table): { table: Table; units: { writes: number; reads: number } } {
  const units = { writes: 0, reads: 0 }
  /** DynamoDB charges for a refused write too. */
  const charged = async <T>(write: Promise<T>, written: (result: T) => Item): Promise<T> => {
    try {
      const result = await write
      units.writes += writeUnits(written(result))
      return result
    } catch (error) {
      if (error instanceof ConditionFailed) units.writes += writeUnits(error.failed.get(0))
      throw error
    }
  }
  return {
    units,
    table: {
      ...table,
      async get(key) {
        const item = await table.get(key)
        units.reads += readUnits(item ? [item] : [])
        return item
      },
      async getAll(keys) {
        const items = await table.getAll(keys)
        for (const item of items) units.reads += readUnits(item ? [item] : [])
        return items
      },
      async list(...query) {
        const items = await table.list(...query)
        units.reads += readUnits(items)
        return items
      },
      async page(...query) {
        const page = await table.page(...query)
        units.reads += readUnits(page.items)
        return page
      },
      put: (item, condition) => charged(table.put(item, condition), () => item),
      update: (...request) => charged(table.update(...request), (item) => item),
      async putAll(items) {
        await table.putAll(items)
        units.writes += items.reduce((sum, item) => sum + writeUnits(item), 0)
      },
    },
  }
}
