import type { Account } from '../account/account.ts'
import { fingerprintDigest } from '../cards/fingerprint.ts'
import { announce } from '../events/outbox.ts'
import { type LedgerEntry, ledgerWrites, parseEntry } from '../ledger/entry.ts'
import { readOperated } from '../ledger/operator-entries.ts'
import { unitsText } from '../notifications/amounts.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import { entriesChange } from './apply-ledger.ts'
import { hadTrial, trialClaim, trialMark } from './trial.ts'

/*
 * One trial for each card. The trial needs no card, so a card can only decide afterwards, and it does so once: the first
 * card that an account puts on file backs the account's trial. A card that backs the trial of another account backs no
 * second one, and what is left of the trial is taken back. So there are never more trials than mailboxes, nor, among
 * accounts with a card, than cards.
 *
 * - Only units of the trial are taken, never others and never below zero. All that has been used or is reserved by then
 *   counts as used out of the trial. Nothing is owed for it.
 * - The decision is part of the transaction that puts the card on file, and `trialUnits` of the profile goes with it, so it
 *   is made once, whatever breaks, repeats or races. Accounts without `trialUnits` have had no trial, or have decided.
 * - Later cards of the account neither back its trial nor cost it anything.
 * - The mark lasts a year, as that of the mailbox does, and outlives the account.
 * - In Stripe's test mode everybody has the same few cards, so there the first card always leaves the trial.
 */

/** What the transaction that puts the first card on file adds: to the write of the profile, and writes of its own. */
export interface TrialDecision {
  set: Expression[]
  remove: Expression[]
  /** Conditions of the profile's write. */
  if: Expression[]
  writes: Write[]
}

/**
 * Decides about the trial of an account by its first card.
 * @param isRetry the first try expects a card that backs no trial, which saves the reads.
 * @returns undefined if there is nothing to decide, any more or without the card's fingerprint
 * @throws ConditionFailed if the counter had to be brought up to the ledger first: try again
 */
export async function decideTrial(
  deps: Deps<'table' | 'paymentScope'>,
  accountId: string,
  fingerprint: string | undefined,
  isRetry: boolean,
): Promise<TrialDecision | undefined> {
  if (fingerprint === undefined) return undefined
  const card = fingerprintDigest(fingerprint)
  const { livemode } = deps.paymentScope
  const keep = {
    set: [],
    remove: [expr`#trialUnits`],
    if: [expr`attribute_exists(#trialUnits)`],
    writes: livemode ? [trialClaim(card, deps.clock.nowMs())] : [],
  }
  if (!isRetry) return keep
  const account = await readOperated(deps, accountId)
  if (account?.trialUnits === undefined) return undefined
  return livemode && (await hadTrial(deps, card)) ? takeTrial(deps, account) : keep
}

/** Takes back what is left of the trial. The counter moves in the same transaction, so no unit is spent meanwhile. */
async function takeTrial(
  deps: Deps<'table'>,
  { id, ledgerSeq, quota }: Account & { quota: NonNullable<Account['quota']> },
): Promise<TrialDecision> {
  const entries = (await deps.table.list(keys.account(id), 'LEDGER#')).map(parseEntry)
  const units = trialLeft(quota.left, entries)
  const decided = {
    remove: [expr`#trialUnits`],
    if: [expr`#ledgerSeq = ${ledgerSeq} AND attribute_exists(#trialUnits)`],
  }
  if (units === 0) return { ...decided, set: [], writes: [] }
  const seq = ledgerSeq + 1
  const taken = [{ kind: 'take' as const, units: -units, amountCents: 0 }]
  const moved = await entriesChange(deps, id, quota, taken, seq)
  // Only units that expire can need another look at the counter.
  if (!moved) throw new Error('a take has no change of the counter')
  return {
    ...decided,
    set: [expr`#ledgerSeq = ${seq}`],
    writes: [
      ...ledgerWrites(id, ledgerSeq, deps.clock.nowMs(), taken),
      { update: keys.quota(id), ...moved },
      announce(deps, id, 'units.taken', { seq, units, owedUnits: 0 }),
      { put: newNotice(deps, id, 'trial_used', takenText(units)) },
    ],
  }
}

/** Units of the trial among those left, if the trial is spent before all else that was credited. */
export const trialLeft = (left: number, entries: readonly Pick<LedgerEntry, 'kind' | 'units'>[]): number => {
  const others = entries.filter(({ kind, units }) => kind !== 'trial' && units > 0)
  return Math.max(0, left - others.reduce((sum, { units }) => sum + units, 0))
}

const takenText = (units: number): string =>
  `Your card has had the trial units with another account, so we took back ${unitsText(units)} of your trial. Units that you buy are not affected.`

/** The mark that a card which comes with an imported account has had its trial: its units take the place of the trial. */
export const importedCardMark = (
  deps: Deps<'paymentScope'>,
  fingerprint: string | undefined,
  nowMs: number,
): Item[] =>
  fingerprint === undefined || !deps.paymentScope.livemode
    ? []
    : [trialMark(fingerprintDigest(fingerprint), nowMs)]
