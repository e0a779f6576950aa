import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { dueAt } from '../table/keys.ts'
import type { Profile } from './account.ts'

/** Assignments for a change of a name or an address: the provider's customer is due for it as well. */
export function customerDetailsDue(deps: Deps, account: Pick<Profile, 'id' | 'customerId'>): Expression[] {
  if (account.customerId === undefined) return []
  const { due, dueAtMs } = dueAt('CUSTOMER', account.id, deps.clock.nowMs())
  return [expr`#due = ${due}, #dueAtMs = ${dueAtMs}`]
}
