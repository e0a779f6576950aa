import type { Deps } from '../ports.ts'
import { ConditionFailed, ignoreRefusal, type Write } from './table.ts'

/** Writes all or nothing: no call for no write, a plain call for one write, else a transaction. */
export async function writeAll({ table }: Deps<'table'>, writes: readonly Write[]): Promise<void> {
  const [only] = writes
  if (!only) return
  if (writes.length > 1 || 'check' in only) await table.transact(writes)
  else if ('put' in only) await table.put(only.put, only.if)
  else if ('update' in only) await table.update(only.update, only.set, only.if)
  else await table.remove(only.remove, only.if)
}

/**
 * Writes all or nothing. A condition that fails means that the work had been done before, which is no error.
 */
export const writeUnlessDone = (deps: Deps<'table'>, writes: readonly Write[]): Promise<void> =>
  writeAll(deps, writes).catch(ignoreRefusal)

/**
 * Writes a change together with the writes that mark its event as done. If the event is marked already, another
 * delivery has done this work, which is no error.
 * @throws ConditionFailed if another writer was faster, so that the change has to be decided anew
 */
export async function writeWithEvent(
  deps: Deps<'table'>,
  change: readonly Write[],
  eventDone: readonly Write[],
): Promise<void> {
  await writeAll(deps, [...change, ...eventDone]).catch((error: unknown) => {
    const isDone =
      error instanceof ConditionFailed && eventDone.some((_, at) => error.failed.has(change.length + at))
    if (!isDone) throw error
  })
}
