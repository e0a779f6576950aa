import type { Account } from '../account/account.ts'
import { renewalText } from '../notifications/renewal-texts.ts'
import { type RenewalStatus, renewalStatus } from '../purchases/renewal.ts'
import { renewalLimit } from '../purchases/renewal-state.ts'

/** The state of auto-renewal, with its reason in words. */
export interface RenewalWords {
  state: RenewalStatus['state']
  reason: string | undefined
  /** What it means, in a sentence. Where something keeps the bundle from renewing, its owner was told the same. */
  text: string
  /** When it is tried again by itself, epoch ms. */
  nextAttemptAtMs: number | undefined
}

export function renewalWords(account: Account): RenewalWords {
  const status = renewalStatus(account)
  const { state, reason, nextAttemptAtMs } = status
  return { state, reason, text: textOf(account, status), nextAttemptAtMs }
}

function textOf(
  account: Account,
  { state, reason = 'other', nextAttemptAtMs, bundle, below }: RenewalStatus,
) {
  const { bundle: held = '' } = account
  if (state === 'off')
    return account.bundle === undefined ? 'There is no bundle to renew.' : 'Auto-renewal is off.'
  if (state !== 'on') {
    const limit = renewalLimit(account, reason)
    return renewalText({ state, reason, bundle: held, nextAttemptAtMs, limit }).happened
  }
  if (reason === 'purchase_open') return 'Auto-renewal is on, and waits until the open purchase has ended.'
  if (reason === 'request_larger_than_bundle')
    return 'Auto-renewal is on. A request for more units than a bundle holds was refused, and buys nothing.'
  const threshold = below < 1 ? `${below * 100} % of the bundle` : `${below} units`
  return `Auto-renewal is on: ${bundle} is bought when less than ${threshold} is left.`
}
