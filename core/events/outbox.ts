import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, outEventKey } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { type EventData, type EventTypeName, eventCatalogue } from './catalogue.ts'

/**
 * The write that announces a change, for the transaction of the change itself. The publisher numbers the events of an
 * account in the order of their times and puts them on the bus.
 */
export function announce<T extends EventTypeName>(
  deps: Deps,
  accountId: string,
  type: T,
  data: EventData<T>,
): Write {
  const atMs = deps.clock.nowMs()
  const id = deps.ids.uuid()
  return {
    put: {
      ...outEventKey(accountId, atMs, id),
      id,
      type,
      version: eventCatalogue[type].version,
      atMs,
      data,
      ...dueAt('EVENT', accountId, atMs),
    },
    if: expr`attribute_not_exists(pk)`,
  }
}
