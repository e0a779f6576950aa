import type { Deps } from '../ports.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'

/**
 * Assignments that make a renewal pending. Each wake-up has a random token, so a job cannot clear a wake-up
 * that arrived while the job was working.
 */
export const renewalDue = (deps: Deps, accountId: string): Expression => {
  const { due, dueAtMs } = dueAt('QUOTA', accountId, deps.clock.nowMs())
  const token = 2 + Number.parseInt(deps.ids.hex(5), 16)
  return expr`#r = ${token}, #due = ${due}, #dueAtMs = ${dueAtMs}`
}

/** Wakes the renewal job after a change that may allow a renewal that was not possible before. */
export const wakeRenewal = (deps: Deps, accountId: string): Write => ({
  update: keys.quota(accountId),
  set: join([expr`SET `, renewalDue(deps, accountId)], ''),
})
