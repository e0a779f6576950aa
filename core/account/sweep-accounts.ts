import type { Deps } from '../ports.ts'
import type { Run } from '../table/due.ts'
import { sweepErasures } from './erase.ts'
import { sweepUnconfirmed } from './unconfirmed.ts'

/** What a sweep did with the accounts that have to go. */
export interface SweptAccounts {
  registrationsCleared: number
  registrationsFailed: number
  accountsErased: number
  erasuresFailed: number
}

/** Settles accounts whose first password still waits, removes those that nobody confirmed, and erases those that their owners have deleted. */
export async function sweepAccounts(
  deps: Deps<'table' | 'identity' | 'keyring' | 'payments'>,
  run: Run,
): Promise<SweptAccounts> {
  const nowMs = deps.clock.nowMs()
  const cleared = await sweepUnconfirmed(deps, { ...run, untilMs: nowMs + (run.untilMs - nowMs) / 2 })
  const erased = await sweepErasures(deps, run)
  return {
    registrationsCleared: cleared.done,
    registrationsFailed: cleared.failed,
    accountsErased: erased.done,
    erasuresFailed: erased.failed,
  }
}
