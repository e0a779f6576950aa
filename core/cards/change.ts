import { type Account, type Profile, renewsItself } from '../account/account.ts'
import { changeAccount } from '../account/change.ts'
import { DomainError } from '../errors.ts'
import type { MoneyDeps } from '../ports.ts'
import { DAY_MS } from '../time.ts'
import { readStoredCard } from './sync.ts'
import { type ProofOutcome, proveOnce } from './verify.ts'

/** The default card may be changed once in this interval. */
const CHANGE_INTERVAL_MS = DAY_MS

/**
 * Proves a card and makes it the default card. GreenCloud allows this once in 24 hours, and only while
 * auto-renewal is off or the default card is declined. A failed attempt does not use up the 24 hours.
 * @param input.address a new billing address; undefined keeps the stored address.
 * @throws DomainError `no_address`, `card_change_not_allowed`, and as `proveCard`
 */
export function changeCard(
  deps: MoneyDeps,
  caller: Account,
  input: { cardId: string; address: Profile['address'] },
  idempotencyKey?: string,
): Promise<ProofOutcome> {
  const wanted = { purpose: 'change', ...input } as const
  return changeAccount(deps, caller, async (account) => {
    const mayBegin = async () => {
      if (!input.address && !account.address) throw new DomainError('no_address')
      requireChangeInterval(account, deps.clock.nowMs())
      if (renewsItself(account) && !(await defaultCardDeclined(deps, account))) {
        throw new DomainError('card_change_not_allowed')
      }
    }
    return proveOnce(deps, account, wanted, { idempotencyKey, mayBegin })
  })
}

async function defaultCardDeclined(deps: MoneyDeps, account: Account): Promise<boolean> {
  const cardId = account.customer?.defaultCardId
  if (cardId === undefined) return true
  return (await readStoredCard(deps, account.id, cardId))?.declined === true
}

/** @throws DomainError `card_changed_recently` with the seconds until the card may be changed again. */
function requireChangeInterval(account: Account, nowMs: number): void {
  const waitMs = (account.cardChangedAtMs ?? 0) + CHANGE_INTERVAL_MS - nowMs
  if (waitMs > 0)
    throw new DomainError('card_changed_recently', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}
