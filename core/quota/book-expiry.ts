import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { ledgerWrites } from '../ledger/entry.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { stored } from '../table/stored.ts'
import { ConditionFailed } from '../table/table.ts'
import { applyLedger, moveBalance, readQuota } from './apply-ledger.ts'

const BOOKING_ATTEMPTS = 20

/**
 * Gives the units that have expired their ledger entry. They left the balance when they expired, so this changes no
 * units left: one transaction, once.
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export async function bookExpiry(deps: Deps<'table'>, accountId: string): Promise<void> {
  for (let tries = 0; tries < BOOKING_ATTEMPTS; tries++) {
    // Entries are numbered in the order in which the counter includes them.
    await applyLedger(deps, accountId)
    const quota = await readQuota(deps, accountId)
    const { unbooked: units, size } = quota
    if (units === 0) return
    const profile = await deps.table.get(keys.profile(accountId))
    if (!profile) throw new Error('a counter has no account')
    const ledgerSeq = stored(profile, 'ledgerSeq', 'number')
    if (ledgerSeq !== quota.seq) continue
    const seq = ledgerSeq + 1
    const booked = { set: [], remove: [expr`#X`], conditions: [expr`#X = ${units}`] }
    const change = await moveBalance(deps, accountId, quota, {
      units: 0,
      size,
      seq,
      lots: booked,
      isBooking: true,
    })
    const entry = { kind: 'expiry', units: -units, amountCents: 0 } as const
    try {
      await deps.table.transact([
        {
          update: keys.profile(accountId),
          set: expr`SET #ledgerSeq = ${seq}`,
          if: expr`#ledgerSeq = ${ledgerSeq}`,
        },
        ...ledgerWrites(accountId, ledgerSeq, deps.clock.nowMs(), [entry]),
        { update: keys.quota(accountId), ...change },
        announce(deps, accountId, 'units.expired', { units }),
      ])
      return
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}
