import type { Deps } from '../ports.ts'
import {
  AUDIT_PREFIX,
  accountAuditKey,
  auditSpan,
  keys,
  operatorAuditKey,
  operatorPartition,
} from '../table/keys.ts'
import { readPage } from '../table/page.ts'
import type { Item } from '../table/table.ts'
import { cursorOf, positionOf } from '../table/time-cursor.ts'
import { DAY_MS } from '../time.ts'
import { actionText } from './actions.ts'
import { type AuditEntry, parseAudit } from './entry.ts'

/** An entry with the sentence that a person reads. */
export type Activity = AuditEntry & { text: string }

export const readActivity = (item: Item): Activity => {
  const entry = parseAudit(item)
  return { ...entry, text: actionText(entry.action) }
}

/**
 * One page of what was done to an account, newest first: one read.
 * @param page.cursor `next` of the page before; undefined for the first page.
 * @returns `next` is undefined on the last page.
 */
export async function listActivity(
  deps: Deps<'table'>,
  accountId: string,
  page: { limit: number; cursor?: string | undefined },
): Promise<{ entries: Activity[]; next: string | undefined }> {
  const { limit, cursor } = page
  const { atMs, id } = positionOf(cursor ?? '')
  const after = cursor === undefined ? undefined : accountAuditKey(accountId, atMs, id)
  const newest = { limit, after, newestFirst: true }
  const { items, last } = await readPage(deps, keys.account(accountId), AUDIT_PREFIX, newest, readActivity)
  return { entries: items, next: last && cursorOf(last) }
}

/**
 * One page of what an operator has done, newest first: one read.
 * @param page.dayMs the beginning of the only day to list, epoch ms; undefined for all days.
 * @returns as `listActivity`
 */
export async function listActionsOf(
  { table }: Deps<'table'>,
  operator: string,
  page: { limit: number; cursor?: string | undefined; dayMs?: number | undefined },
): Promise<{ entries: Activity[]; next: string | undefined }> {
  const { limit, cursor, dayMs } = page
  const { atMs, id } = positionOf(cursor ?? '')
  const after = cursor === undefined ? undefined : operatorAuditKey(operator, atMs, id)
  const found = await table.list(operatorPartition(operator), AUDIT_PREFIX, {
    limit: limit + 1,
    newestFirst: true,
    ...(after && { after }),
    ...(dayMs !== undefined && { between: auditSpan(dayMs, dayMs + DAY_MS) }),
  })
  const entries = found.slice(0, limit).map(readActivity)
  const last = entries.at(-1)
  return { entries, next: found.length > limit && last ? cursorOf(last) : undefined }
}
