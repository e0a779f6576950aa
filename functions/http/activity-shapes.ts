import type { Activity } from '../../core/audit/activity.ts'
import { isoTime } from './time-shapes.ts'

/** An entry as the account's owner sees it: without the name, the note and the address of whoever helped. */
export const ownActivity = ({ id, atMs, action, by, ip, before, after, text }: Activity) => ({
  id,
  at: isoTime(atMs),
  action,
  text,
  by,
  ip: (by === 'operator' ? undefined : ip) ?? null,
  before: before ?? null,
  after: after ?? null,
})

/** An entry as operators see it. */
export const auditEntry = ({ atMs, ...entry }: Activity) => ({ ...entry, at: isoTime(atMs) })
