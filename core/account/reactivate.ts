import { announce } from '../notifications/security.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { dueAt } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import type { Profile } from './account.ts'

/**
 * What every write contains that makes a deactivated account active again, so that no account is active and about to
 * be erased: it undoes a deletion, and tells the owner. For an active account it is empty.
 * @returns assignments, what to remove, and the condition for the profile; and the messages.
 */
export function reactivate(
  deps: Deps,
  account: Profile,
): { set: Expression[]; remove: Expression[]; unchanged: Expression; writes: Write[] } {
  const { eraseAtMs, emailVerified } = account
  if (eraseAtMs === undefined)
    return {
      set: [],
      remove: [],
      unchanged: expr`attribute_not_exists(#eraseAtMs)`,
      writes: account.status === 'active' ? [] : announce(deps, account, 'restored'),
    }
  const due = emailVerified ? dueAgain(deps, account) : { set: [], remove: [] }
  return {
    set: due.set,
    remove: [expr`#eraseAtMs`, ...due.remove],
    // Of two requests that restore the account one tells its owner.
    unchanged: expr`#eraseAtMs = ${eraseAtMs}`,
    writes: announce(deps, account, 'deletion-undone'),
  }
}

/**
 * The deletion took the place of other work for which the profile was due: a change of the name that the provider's
 * customer had not followed yet. An account that nobody has confirmed stays due to lapse.
 */
function dueAgain(deps: Deps, { id, customerId }: Profile): { set: Expression[]; remove: Expression[] } {
  if (customerId === undefined) return { set: [], remove: [expr`#due, #dueAtMs`] }
  const { due, dueAtMs } = dueAt('CUSTOMER', id, deps.clock.nowMs())
  return { set: [expr`#due = ${due}, #dueAtMs = ${dueAtMs}`], remove: [] }
}
