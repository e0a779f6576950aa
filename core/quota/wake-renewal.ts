import type { Deps } from '../ports.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'

/** Each call for a look is another random number, so that nobody clears one that came while he looked. */
export const renewalDue = (deps: Deps, accountId: string): Expression => {
  const { due, dueAtMs } = dueAt('QUOTA', accountId, deps.clock.nowMs())
  const call = 2 + Number.parseInt(deps.ids.hex(5), 16)
  return expr`#r = ${call}, #due = ${due}, #dueAtMs = ${dueAtMs}`
}

/** Has the job look whether the bundle is to be renewed: for changes that may allow what was not possible before. */
export const wakeRenewal = (deps: Deps, accountId: string): Write => ({
  update: keys.quota(accountId),
  set: join([expr`SET `, renewalDue(deps, accountId)], ''),
})
