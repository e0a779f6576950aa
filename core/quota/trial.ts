import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'

/** Units granted once, when the e-mail address is confirmed. */
export const TRIAL_UNITS = 100

/** The writes that give an account its first units: on the counter, and as ledger entry 1. */
export function trialCredit(accountId: string, nowMs: number): { seq: number; writes: Write[] } {
  const seq = 1
  const entry = { seq, atMs: nowMs, kind: 'trial', units: TRIAL_UNITS, amountCents: 0 }
  return {
    seq,
    writes: [
      { update: keys.quota(accountId), set: expr`SET #l = ${TRIAL_UNITS}, #s = ${seq}`, if: expr`#s = ${0}` },
      { put: { ...keys.ledger(accountId, seq), ...entry }, if: expr`attribute_not_exists(pk)` },
    ],
  }
}
