import { expr } from '../table/expression.ts'
import { dueAt, monthlyKey } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import type { Terms } from './terms.ts'

/**
 * The write after which `grant-monthly` looks whether the account has got its plan's units of this month; none for a plan
 * without monthly units. The first one of an account settles on which day of the month they come, and none moves it.
 */
export function monthlyDue(accountId: string, plan: Terms | undefined, nowMs: number): Write[] {
  if (plan?.monthlyUnits === undefined) return []
  const day = new Date(nowMs).getUTCDate()
  const { due, dueAtMs } = dueAt('MONTHLY', accountId, nowMs)
  const set = expr`SET #day = if_not_exists(#day, ${day}), #due = ${due}, #dueAtMs = ${dueAtMs}`
  return [{ update: monthlyKey(accountId), set }]
}
