import { parseProfile } from '../account/account.ts'
import { listChange } from '../account/listed.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { ledgerWrites } from '../ledger/entry.ts'
import { unitsText } from '../notifications/amounts.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Deps } from '../ports.ts'
import { applyLedger, moveBalance, readQuota } from '../quota/apply-ledger.ts'
import { expr, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { payOwedUnits } from './owed-units.ts'

const COLLECT_ATTEMPTS = 20

/**
 * Takes units that are owed, such as for a refund or dispute, out of those left, as far as they go. Reserved units are not left
 * when the money goes back, so they are taken once they have returned.
 * @returns whether units are still owed
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export async function collectOwedUnits(deps: Deps<'table'>, accountId: string): Promise<boolean> {
  for (let tries = 0; tries < COLLECT_ATTEMPTS; tries++) {
    // Units can be taken only from a counter that has caught up with the ledger.
    await applyLedger(deps, accountId)
    const item = await deps.table.get(keys.profile(accountId))
    const profile = item && parseProfile(item)
    if (!profile?.owed) return false
    const quota = await readQuota(deps, accountId)
    if (quota.seq !== profile.ledgerSeq) continue
    const paid = await payOwedUnits(deps, profile, quota.left)
    if (paid.entries.length === 0) return true
    const units = paid.entries.reduce((sum, entry) => sum + entry.units, 0)
    const seq = profile.ledgerSeq + paid.entries.length
    const nowMs = deps.clock.nowMs()
    const set = [
      expr`#ledgerSeq = ${seq}, #balanceCents = ${profile.balanceCents + paid.amountCents}, #updatedAtMs = ${nowMs}`,
      ...(paid.owed ? [expr`#owed = ${paid.owed}`] : []),
    ]
    // Where this leaves too few units, it calls for a renewal, which may have waited until nothing is owed.
    const taken = await moveBalance(deps, accountId, quota, { units, size: quota.size, seq })
    const isTaken = paid.entries.some(({ kind }) => kind === 'take')
    const text = isTaken
      ? `We have taken back ${unitsText(-units)} that you owed. They were reserved before.`
      : `We have taken back ${unitsText(-units)} for a refund or dispute. They were reserved when the money went back.`
    try {
      await deps.table.transact([
        {
          update: keys.profile(accountId),
          set: setRemove(set, paid.owed ? [] : [expr`#owed`]),
          if: expr`#ledgerSeq = ${profile.ledgerSeq}`,
        },
        ...paid.writes,
        ...ledgerWrites(accountId, profile.ledgerSeq, nowMs, paid.entries),
        { update: keys.quota(accountId), ...taken },
        { put: newNotice(deps, accountId, 'payment_reversed', text) },
        ...listChange(profile, { owed: paid.owed, balanceCents: profile.balanceCents + paid.amountCents }),
        announce(deps, accountId, 'units.collected', { units: -units }),
      ])
      if (!paid.owed) return false
      // One transaction pays for so many purchases. Those that are left have tries of their own.
      tries = -1
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}
