import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys, TRIAL_KEPT_MS, trialKey, ttlAt } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'

/**
 * The writes that give an account its first units, once, when its address is confirmed: on the counter, and as ledger
 * entry 1.
 *
 * The mailbox decides here, because the trial comes before any card. The first card decides once more, when it comes on
 * file (`trial-card.ts`).
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
 * The mark that a mailbox or a card has had its trial. Only a MAC of the mailbox or a digest of the card's fingerprint is
 * stored, so that neither another account nor one that follows an erased account gets a second trial.
 */
export function trialMark(mailboxOrCard: string, nowMs: number): Item {
  const untilMs = nowMs + TRIAL_KEPT_MS
  return { ...trialKey(mailboxOrCard), untilMs, ...ttlAt(untilMs) }
}

/** The write that claims the only trial of a mailbox or a card, for the transaction that gives the trial or confirms it. */
export const trialClaim = (mailboxOrCard: string, nowMs: number): Write => ({
  put: trialMark(mailboxOrCard, nowMs),
  if: expr`attribute_not_exists(pk) OR #untilMs <= ${nowMs}`,
})

/** The check that a mailbox has not had its trial under another name. */
export const trialCheck = (mailbox: string, nowMs: number): Write => ({
  check: trialKey(mailbox),
  if: expr`#untilMs <= ${nowMs} OR attribute_not_exists(pk)`,
})

/** Whether the mailbox or the card has had its trial, under any of these names. */
export async function hadTrial(deps: Deps<'table'>, ...names: string[]): Promise<boolean> {
  return (await openMark(deps, names)) !== undefined
}

async function openMark(deps: Deps<'table'>, names: readonly string[]): Promise<Item | undefined> {
  const claims = await Promise.all(names.map((name) => deps.table.get(trialKey(name))))
  return claims.find((claim) => claim !== undefined && Number(claim.untilMs) > deps.clock.nowMs())
}

/** The write that carries the mark of a mailbox from other names to a new one; undefined if it has none. */
export async function carriedTrialMark(
  deps: Deps<'table'>,
  mailbox: string,
  earlier: readonly string[],
): Promise<Write | undefined> {
  const found = await openMark(deps, earlier)
  return found && { put: { ...found, ...trialKey(mailbox) } }
}
