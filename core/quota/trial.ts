import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'

/**
 * The writes that give an account its first units, once, when its address is confirmed: on the counter, and as ledger
 * entry 1.
 * @param units of the trial; they may be 0
 */
export function trialCredit(
  accountId: string,
  nowMs: number,
  units: number,
): { seq: number; writes: Write[] } {
  const seq = 1
  const entry = { seq, atMs: nowMs, kind: 'trial', units, amountCents: 0 }
  return {
    seq,
    writes: [
      { update: keys.quota(accountId), set: expr`SET #l = ${units}, #s = ${seq}`, if: expr`#s = ${0}` },
      { put: { ...keys.ledger(accountId, seq), ...entry }, if: expr`attribute_not_exists(pk)` },
    ],
  }
}
