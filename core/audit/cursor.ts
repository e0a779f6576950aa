import type { AuditEntry } from './entry.ts'

/** The position of an entry in a list. */
export const cursorOf = ({ atMs, id }: AuditEntry): string => `${atMs}.${id}`
export const AUDIT_CURSOR = /^\d{1,14}\.[0-9a-f-]{36}$/

/** @param cursor as `cursorOf` makes it */
export function positionOf(cursor: string): { atMs: number; id: string } {
  const [atMs = '', id = ''] = cursor.split('.')
  return { atMs: Number(atMs), id }
}
