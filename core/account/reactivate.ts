import { announce } from '../events/outbox.ts'
import { tellOwner } from '../notifications/security.ts'
import type { SecurityEvent } from '../notifications/security-texts.ts'
import { monthlyDue } from '../plans/monthly.ts'
import type { Deps } from '../ports.ts'
import { renewalDue } from '../quota/renewal-call.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import type { Profile } from './account.ts'

/**
 * What every write contains that makes a blocked account active again, whoever proves to be its owner or has blocked
 * it: consumes are allowed, jobs renew a bundle that ran out meanwhile and give the plan's units of the month, a deletion is
 * undone, and the owner is told.
 * For an active account it changes nothing and tells nobody.
 * @param told what the owner is told instead.
 * @returns assignments, what to remove, and the condition for the profile; and the other writes of its transaction.
 */
export function reactivate(
  deps: Deps,
  account: Profile,
  told?: SecurityEvent | 'nothing',
): { set: Expression[]; remove: Expression[]; unchanged: Expression; writes: Write[] } {
  const { id, bundle, plan, status, eraseAtMs, emailVerified } = account
  const active = expr`#status = ${'active'}, #updatedAtMs = ${deps.clock.nowMs()}`
  const unblock =
    bundle === undefined ? expr`REMOVE #x` : join([expr`SET `, renewalDue(deps, id), expr` REMOVE #x`], '')
  const unblocked: Write[] = [
    { update: keys.quota(id), set: unblock },
    ...(status === 'active' ? [] : monthlyDue(id, plan, deps.clock.nowMs())),
  ]
  const tell = (event: 'restored' | 'deletion-undone') => [
    ...(told === 'nothing' ? [] : tellOwner(deps, account, told ?? event)),
    // Others learn of the end of a suspension by an event of its own.
    ...(status === 'suspended'
      ? []
      : [announce(deps, id, 'account.restored', { undoesDeletion: event === 'deletion-undone' })]),
  ]
  if (eraseAtMs === undefined)
    return {
      set: [active],
      remove: [],
      unchanged: expr`attribute_not_exists(#eraseAtMs)`,
      writes: [...unblocked, ...(status === 'active' ? [] : tell('restored'))],
    }
  const due = emailVerified ? dueAgain(deps, account) : { set: [], remove: [] }
  return {
    set: [active, ...due.set],
    remove: [expr`#eraseAtMs`, ...due.remove],
    // Of two requests that restore the account one tells its owner.
    unchanged: expr`#eraseAtMs = ${eraseAtMs}`,
    writes: [...unblocked, ...tell('deletion-undone')],
  }
}

/**
 * The deletion took the place of other work for which the profile was due: a change of the name that the provider's
 * customer had not followed yet, or a first password that still waits. An account that nobody has confirmed stays due to
 * lapse.
 */
function dueAgain(
  deps: Deps,
  { id, customerId, registeredPassword }: Profile,
): { set: Expression[]; remove: Expression[] } {
  const kind =
    registeredPassword !== undefined ? 'PENDING' : customerId !== undefined ? 'CUSTOMER' : undefined
  if (kind === undefined) return { set: [], remove: [expr`#due, #dueAtMs`] }
  const { due, dueAtMs } = dueAt(kind, id, deps.clock.nowMs())
  return { set: [expr`#due = ${due}, #dueAtMs = ${dueAtMs}`], remove: [] }
}
