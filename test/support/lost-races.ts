import type { Key } from '../../core/table/keys.ts'
import { ConditionFailed, type Table, type Write } from '../../core/table/table.ts'

/** A write, as a transaction has it or alone. */
type Loses = (write: Write, key: Key) => boolean

const keyOf = (write: Write): Key =>
  'put' in write
    ? (write.put as unknown as Key)
    : 'update' in write
      ? write.update
      : 'remove' in write
        ? write.remove
        : write.check

/**
 * The same table, in which another writer is first each time that a write is one of those that `loses` names. `lost()`
 * is how often. After `most` times the writes succeed, so that tries without an end do not hang a test.
 */
export function losingRaces(table: Table, loses: Loses, most = 100): { table: Table; lost: () => number } {
  let count = 0
  async function race(writes: readonly Write[]): Promise<void> {
    const at = writes.findIndex((write) => loses(write, keyOf(write)))
    const write = writes[at]
    if (!write || count >= most) return
    count++
    throw new ConditionFailed(new Map([[at, await table.get(keyOf(write))]]))
  }
  return {
    lost: () => count,
    table: {
      ...table,
      async put(item, condition) {
        if (condition) await race([{ put: item, if: condition }])
        return table.put(item, condition)
      },
      async update(key, set, condition, options) {
        if (condition) await race([{ update: key, set, if: condition }])
        return table.update(key, set, condition, options)
      },
      async transact(writes) {
        await race(writes)
        return table.transact(writes)
      },
    },
  }
}
