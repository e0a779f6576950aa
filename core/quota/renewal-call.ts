import type { Deps } from '../ports.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import type { Quota } from './quota.ts'
import { type CrossedThresholds, isBelowRenewal } from './thresholds.ts'

/**
 * A call for a renewal: the counter has the attribute `r` and is due, so that check-quotas looks at it. This
 * module has everything that calls, and `needsRenewal`, which the job asks first. Whether the bundle is then
 * bought is for `decideRenewal` (core/purchases/renewal.ts).
 *
 * | what calls                                                  | by                    |
 * | ----------------------------------------------------------- | --------------------- |
 * | the consume that takes the balance below the threshold      | `callByConsume`       |
 * | the first refusal for want of units in a cycle (refusal.ts) | `callByConsume`       |
 * | other writes that leave the balance below the threshold     | `renewalDue`          |
 * | a change that may allow a renewal                           | `wakeRenewal`         |
 *
 * `startRenewal` lets the job look at once, not with its next run.
 */

/**
 * Assignments with which a consume makes a notice, an alert, a renewal or the event of exhausted units due. A renewal that
 * is due already keeps its time, so that later calls do not postpone it. All others are due at once: the check that is due already
 * may wait for the end of the month, as at the owner's cap.
 */
export function callByConsume(
  accountId: string,
  nowMs: number,
  { notice, renewal, alerts, exhausted = false }: CrossedThresholds & { exhausted?: boolean },
): Expression[] {
  if (!notice && !renewal && !alerts && !exhausted) return []
  const { due, dueAtMs } = dueAt('QUOTA', accountId, nowMs)
  return [
    ...(notice ? [expr`#n = ${nowMs}`] : []),
    ...(exhausted ? [expr`#nx = ${nowMs}`] : []),
    ...(alerts ? [expr`#i = ${alerts}`] : []),
    ...(renewal ? [expr`#r = if_not_exists(#r, ${0}) + ${1}`] : []),
    expr`#due = ${due}`,
    notice || alerts || exhausted
      ? expr`#dueAtMs = ${dueAtMs}`
      : expr`#dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`,
  ]
}

/**
 * Assignments that make a renewal pending now. Each such call has a random token, so a job cannot clear a call
 * that arrived while the job was working.
 */
export const renewalDue = (deps: Deps, accountId: string): Expression => {
  const { due, dueAtMs } = dueAt('QUOTA', accountId, deps.clock.nowMs())
  const token = 2 + Number.parseInt(deps.ids.hex(5), 16)
  return expr`#r = ${token}, #due = ${due}, #dueAtMs = ${dueAtMs}`
}

/** Calls for a renewal after a change that may allow a renewal that was not possible before. */
export const wakeRenewal = (deps: Deps, accountId: string): Write => ({
  update: keys.quota(accountId),
  set: join([expr`SET `, renewalDue(deps, accountId)], ''),
})

/**
 * Whether the account needs more units: the balance is below the threshold, or a request that one more bundle
 * can serve was refused since the last ledger entry. Each credit makes an entry, so a refusal calls for one
 * renewal at most.
 */
export const needsRenewal = (quota: Quota): boolean =>
  isBelowRenewal(quota.left, quota) || quota.refusedSeq === quota.seq

/**
 * Starts the job for one account at once. A failure is logged and not thrown, because the call is stored and
 * the job's next run finds it.
 */
export async function startRenewal(deps: Deps<'renewals'>, accountId: string): Promise<void> {
  try {
    await deps.renewals.start(accountId)
  } catch (error) {
    deps.log.warn('a renewal was not started at once; check-quotas starts it', error, { accountId })
  }
}

/** Starts the job after a change that may allow a renewal, if the account needs one. */
export async function startIfNeeded(
  deps: Deps<'renewals'>,
  { id, quota }: { id: string; quota: Quota | undefined },
): Promise<void> {
  if (quota && needsRenewal(quota)) await startRenewal(deps, id)
}
