import type { Profile } from '../account/account.ts'
import type { LedgerEntry } from '../ledger/entry.ts'
import type { Quota } from '../quota/quota.ts'

/** Whether an account's books agree. */
export interface LedgerCheck {
  isRight: boolean
  /**
   * `sums`: every entry was read and added up. `numbers`: the account has too many entries for one look, so only the
   * number of the newest one was compared.
   */
  by: 'sums' | 'numbers'
  /** Units by the ledger, as far as the counter includes it, and by the counter: left, used and reserved. */
  units?: { ledger: number; counter: number }
  /** Money by the ledger and on the account, in the currency's minor unit. */
  amountCents?: { ledger: number; balance: number }
  /** Entries that the counter does not include yet; more than none for longer than a minute is a fault. */
  waiting: number
}

/**
 * Compares ledger, counter and balance: units sum to those left, used and reserved, amounts to the balance, and no
 * number is missing.
 * @param entries all of the account's entries, or the newest ones if not `isWhole`.
 */
export function checkLedger(
  { ledgerSeq, balanceCents }: Pick<Profile, 'ledgerSeq' | 'balanceCents'>,
  quota: Quota,
  entries: readonly LedgerEntry[],
  isWhole: boolean,
): LedgerCheck {
  const waiting = ledgerSeq - quota.seq
  const numbers = entries.map(({ seq }) => seq).sort((a, b) => a - b)
  if (!isWhole)
    return { isRight: (numbers.at(-1) ?? 0) === ledgerSeq && waiting >= 0, by: 'numbers', waiting }
  const applied = entries.filter(({ seq }) => seq <= quota.seq)
  const units = { ledger: sum(applied, 'units'), counter: quota.left + quota.used + quota.held }
  const amountCents = { ledger: sum(entries, 'amountCents'), balance: balanceCents }
  const isGapless = numbers.length === ledgerSeq && numbers.every((seq, at) => seq === at + 1)
  const isRight =
    isGapless && waiting >= 0 && units.ledger === units.counter && amountCents.ledger === amountCents.balance
  return { isRight, by: 'sums', units, amountCents, waiting }
}

const sum = (entries: readonly LedgerEntry[], of: 'units' | 'amountCents'): number =>
  entries.reduce((total, entry) => total + entry[of], 0)
