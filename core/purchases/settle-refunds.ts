import type { MoneyDeps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { leaseDue } from '../table/lease.ts'
import { advanceRefund, parseRefund } from './refund.ts'
import { retryWaitMs } from './resume.ts'

/**
 * Goes on with refunds that operators ordered and whose requests left them open, until Stripe has made or refused them
 * and the ledger follows.
 * @returns how many are settled now, and how many stay due.
 */
export const settleRefunds = (deps: MoneyDeps, run: Run): Promise<Worked> =>
  eachDue(deps, 'REFUND', run, async (key) => {
    if (run.ready && !(await run.ready())) return false
    const item = await deps.table.get(key)
    const waitMs = item && retryWaitMs(parseRefund(item), deps.clock.nowMs())
    const leased = waitMs === undefined ? undefined : await leaseDue(deps, key, waitMs)
    if (!leased) return false
    await advanceRefund(deps, parseRefund(leased), false)
    return true
  })
