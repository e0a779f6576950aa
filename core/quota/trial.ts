import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys, TRIAL_KEPT_MS, trialKey, ttlAt } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'

/**
 * The writes that give an account its first units, once, when its address is confirmed: on the counter, and as ledger
 * entry 1.
 *
 * The mailbox decides, and no card: the trial is given before any card, and who collects trials never shows one. To take
 * units back once a card is proved that another account has would reach only customers who are about to pay.
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

/**
 * The mark that a mailbox has had its trial. Only a MAC of the mailbox is stored, so that neither another account nor one
 * that follows an erased account gets a second trial.
 */
export function trialMark(mailbox: string, nowMs: number): Item {
  const untilMs = nowMs + TRIAL_KEPT_MS
  return { ...trialKey(mailbox), untilMs, ...ttlAt(untilMs) }
}

/** The write that claims the only trial of a mailbox, for the transaction that credits it. */
export const trialClaim = (mailbox: string, nowMs: number): Write => ({
  put: trialMark(mailbox, nowMs),
  if: expr`attribute_not_exists(pk) OR #untilMs <= ${nowMs}`,
})

/** Whether the mailbox has had its trial. */
export async function hadTrial(deps: Deps<'table'>, mailbox: string): Promise<boolean> {
  const claim = await deps.table.get(trialKey(mailbox))
  return claim !== undefined && Number(claim.untilMs) > deps.clock.nowMs()
}
