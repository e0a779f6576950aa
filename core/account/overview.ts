import { openRecovery } from '../credentials/recovery-state.ts'
import { defaultKeyEnds, readDefaultKey } from '../keys/default-key.ts'
import { isUndeliverable } from '../notifications/undeliverable.ts'
import { heldBundle } from '../plans/held.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { type RenewalStatus, renewalStatus } from '../purchases/renewal.ts'
import { readAlerts } from '../quota/alerts.ts'
import { type Account, displayName, type Profile } from './account.ts'

/** Summary of an account for its owner. */
export interface AccountOverview {
  id: string
  email: string
  /** Whether mail to the address does not arrive, as far as is known. */
  isEmailUndeliverable: boolean
  /** The new address that waits to be confirmed; undefined without one. */
  pendingEmail: string | undefined
  displayName: string
  /** The billing address; undefined until there is one. */
  address: Profile['address']
  hasTwoFactor: boolean
  /** When a recovery of lost two-factor codes can be finished, epoch ms; undefined if none is open. */
  recoveryFinishesAtMs: number | undefined
  /**
   * The default application key: in plain text for a recent session, else by its first and last characters; by neither if
   * the root secret is lost with which it was sealed: the key works, and a new one can be made.
   */
  defaultKey: string
  /** Units left, those used in all, and those of open reservations. */
  usage: { left: number; used: number; reserved: number }
  /**
   * The account's bundle, with the units left on the account and the price of one more bundle, in the minor
   * unit of `currency`; without a price if the bundle is no longer sold.
   */
  bundle: { name: string; unitsLeft: number; priceCents: number | undefined } | undefined
  /** ISO 4217: the currency of every amount here. */
  currency: string
  renewal: RenewalStatus
  flags: Profile['flags']
  /** The owner's alerts: the units or the share of the bundle, and whether one fires when units fall below. */
  alerts: { below: number; armed: boolean }[]
}

/**
 * @param showsKey whether the session may see the default key in plain text. Nobody sees the key of an account whose
 *   address is not confirmed, so a confirmation has no key to replace.
 */
export const describeAccount = (
  deps: Deps<'keyring'>,
  account: Account,
  showsKey: boolean,
): AccountOverview => ({
  id: account.id,
  email: account.email,
  isEmailUndeliverable: isUndeliverable(account),
  pendingEmail: account.pendingEmail,
  displayName: displayName(account),
  address: account.address,
  hasTwoFactor: account.totp !== undefined,
  recoveryFinishesAtMs: openRecovery(account, deps.clock.nowMs())?.finishesAtMs,
  defaultKey:
    (showsKey ? readDefaultKey(deps, account) : undefined) ?? maskedKey(defaultKeyEnds(deps, account)),
  usage: {
    left: account.quota?.left ?? 0,
    used: account.quota?.used ?? 0,
    reserved: account.quota?.held ?? 0,
  },
  bundle: bundleHeld(account),
  currency: CURRENCY,
  renewal: renewalStatus(account),
  flags: account.flags,
  alerts: readAlerts(account.quota?.alerts).alerts.map(({ below, armed }) => ({ below, armed })),
})

/**
 * Enough of a key to recognise it, and nothing to use it with. It is ASCII, so that a client that sends it as a key
 * learns that it is none.
 */
const maskedKey = ({ prefix, last4 }: ReturnType<typeof defaultKeyEnds>): string => `${prefix}...${last4}`

function bundleHeld(account: Account): AccountOverview['bundle'] {
  const { bundle: name, quota } = account
  if (name === undefined) return undefined
  return { name, unitsLeft: quota?.left ?? 0, priceCents: heldBundle(account)?.priceCents }
}
