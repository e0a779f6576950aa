import * as z from 'zod/mini'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { AUDIT_PREFIX, accountAuditKey, operatorAuditKey } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import type { Action } from './actions.ts'

/** What a change says of itself: short values, never a secret. */
const facts = z.optional(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])))

const entrySchema = z.object({
  id: z.string(),
  atMs: z.number(),
  /** A text, because entries outlive the actions that the code knows. */
  action: z.string(),
  accountId: z.optional(z.string()),
  by: z.enum(['operator', 'owner', 'key', 'anyone', 'system']),
  /** The operator's name, or the job's. */
  name: z.optional(z.string()),
  reason: z.optional(z.string()),
  before: facts,
  after: facts,
  requestId: z.optional(z.string()),
  ip: z.optional(z.string()),
})

export type AuditEntry = z.infer<typeof entrySchema>

/** What has changed. A value that is undefined is left out. */
export type Facts = Record<string, string | number | boolean | undefined>

/** What the caller of `auditWrites` knows; the rest comes from the request. */
export interface Audited {
  action: Action
  /** The account that was acted on; undefined for an action on the deployment. */
  accountId?: string | undefined
  /** Why, in the operator's words. */
  reason?: string | undefined
  before?: Facts
  after?: Facts
  /** Who acts, if the request has proved more than its row demands: a sign-in is its owner's. */
  by?: AuditEntry['by']
}

/** Parses a stored entry. @throws Error if the item is not an entry of the audit log. */
export const parseAudit = (item: Item): AuditEntry => z.parse(entrySchema, item)

/** Whether a write of a transaction is an entry of the audit log, which nothing may take back. */
export const isAuditWrite = (write: Write): boolean =>
  'put' in write && String(write.put.sk).startsWith(AUDIT_PREFIX)

/**
 * The writes that record an action, for the transaction of the change itself: one for the account, and one for the
 * operator who acts, so that both can be read in order of time. None can overwrite an entry.
 */
export function auditWrites(deps: Deps, audited: Audited): Write[] {
  const { by = 'system', name, requestId, ip } = deps.origin ?? {}
  const entry = { id: deps.ids.uuid(), atMs: deps.clock.nowMs(), by, name, requestId, ip, ...audited }
  const owners = [
    audited.accountId !== undefined && accountAuditKey(audited.accountId, entry.atMs, entry.id),
    // What a job does to the deployment is found under the job's name.
    (by === 'operator' || audited.accountId === undefined) &&
      operatorAuditKey(name ?? by, entry.atMs, entry.id),
  ]
  return owners
    .filter((key) => key !== false)
    .map((key) => ({ put: { ...key, ...entry }, if: expr`attribute_not_exists(pk)` }))
}
