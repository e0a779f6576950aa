import { createHash } from 'node:crypto'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, outEventKey } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { type EventData, type EventTypeName, eventCatalogue } from './catalogue.ts'
import { NO_ACCOUNT } from './stored-event.ts'

/**
 * The write that announces a change, for the transaction of the change itself. The publisher numbers the events of an
 * account in the order of their times and puts them on the bus.
 * @param once for a change that is found by a look that may be repeated: when it happened, epoch ms, and what tells it
 *   from others of its type. The condition of the write then fails for an event that was announced before.
 */
export function announce<T extends EventTypeName>(
  deps: Deps,
  accountId: string,
  type: T,
  data: EventData<T>,
  once?: { atMs: number; name: string },
): Write {
  const atMs = once?.atMs ?? deps.clock.nowMs()
  const id = once ? namedId([accountId, type, once.name]) : deps.ids.uuid()
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

/**
 * Announces that an operator has revoked something that belongs to no account. A restored backup learns of it from the
 * archive of the bus (`core/operators/reapply.ts`).
 */
export const announceRevoked = (
  deps: Deps,
  what: EventData<'deployment.revoked'>['what'],
  id: string,
): Write => announce(deps, NO_ACCOUNT, 'deployment.revoked', { what, id })

/** A UUID of version 8 (RFC 9562) that is the same for the same names. */
function namedId(names: readonly string[]): string {
  const hex = createHash('sha256').update(JSON.stringify(names)).digest('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`]
  return [...parts, hex.slice(20, 32)].join('-')
}
