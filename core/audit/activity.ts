import type { Deps } from '../ports.ts'
import { AUDIT_PREFIX, accountAuditKey, keys } from '../table/keys.ts'
import { readPage } from '../table/page.ts'
import type { Item } from '../table/table.ts'
import { actionText } from './actions.ts'
import { cursorOf, positionOf } from './cursor.ts'
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
