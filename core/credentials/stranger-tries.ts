import type { Profile } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import { networkOf } from '../limits/network.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { type Key, keys, ttlAt } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { type Item, ignoreRefusal } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'

/**
 * The vault locks a user after five wrong passwords, wherever they come from, for a second and then for twice as long
 * each time; it forgets them after fifteen minutes in which nobody tried, or after the right one. So whoever types wrong
 * passwords from many networks could keep an owner out. Therefore the vault is shown only a few passwords of an account
 * that come from networks which its owner has not used. What comes from the owner's own networks is always looked at.
 */

/** Passwords from strangers that the vault is shown in a row. After these it locks for 8 seconds at most. */
const MOST_TRIES = 8
/** Longer than the time after which the vault forgets. */
const QUIET_MS = 16 * MINUTE_MS

/** Networks that an account remembers its owner by. One more forgets the one that came first. */
const MOST_NETWORKS = 10

/** Names the network of the caller for this account; undefined for work of our own, which has none. */
export const networkMac = (deps: Deps<'keyring'>, accountId: string): string | undefined =>
  networkMacs(deps, accountId)[0]

/** The names of the caller's network by every live root secret. */
function networkMacs(deps: Deps<'keyring'>, accountId: string): string[] {
  const ip = deps.origin?.ip
  if (ip === undefined) return []
  const macs = deps.keyring.macs('mac:owner-network', accountId, networkOf(ip))
  return macs.map((mac) => mac.toString('base64url').slice(0, 11))
}

/** Whether the caller's network is one of the owner's. */
export const isOwnersNetwork = (deps: Deps<'keyring'>, { id, networks = [] }: Networks): boolean =>
  networkMacs(deps, id).some((mac) => networks.includes(mac))

type Networks = Pick<Profile, 'id' | 'networks'>

/** From now on the caller's network alone is the owner's: it has shown a code that was mailed to the owner. */
export function ownersNetworkSet(deps: Deps<'keyring'>, accountId: string): Expression[] {
  const mac = networkMac(deps, accountId)
  return mac === undefined ? [] : [expr`#networks = ${[mac]}`]
}

/** The networks of an owner, with the caller's first. */
export const withNetwork = (networks: readonly string[], mac: string): string[] =>
  [mac, ...networks.filter((each) => each !== mac)].slice(0, MOST_NETWORKS)

/** What the vault was shown of an account's passwords, or of those of an unknown name. */
export type ShownPasswords = Item | undefined

/** One read. @param subject the account, or an unknown name. */
export const readShown = (deps: Deps<'table' | 'keyring'>, subject: string): Promise<ShownPasswords> =>
  deps.table.get(strangersKey(deps, subject))

/**
 * Counts a password that the vault is about to be shown. One write, whether the name is known or not and whoever sends
 * it, so that its calls and its time tell nothing.
 * @param read what `readShown` has read
 * @param isOwners whether it comes from one of the owner's own networks
 * @returns whether the vault may be shown it.
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export function countShown(
  deps: Deps<'table' | 'keyring'>,
  subject: string,
  read: ShownPasswords,
  isOwners: boolean,
): Promise<boolean> {
  const countOnce = async (attempt: number): Promise<boolean> => {
    const nowMs = deps.clock.nowMs()
    const item = attempt === 1 ? read : await readShown(deps, subject)
    const shownAtMs = Number(item?.shownAtMs ?? 0)
    const shown = shownAtMs <= nowMs - QUIET_MS ? 0 : Number(item?.shown)
    const isFull = shown >= MOST_TRIES
    const { ttl } = ttlAt(nowMs + QUIET_MS)
    const isSame =
      shownAtMs === 0
        ? expr`attribute_not_exists(#shownAtMs)`
        : expr`#shownAtMs = ${shownAtMs} AND #shown = ${item?.shown}`
    // What need not be counted costs the same write.
    const set =
      isOwners || isFull
        ? expr`SET #ttl = ${ttl} ADD #others ${1}`
        : expr`SET #ttl = ${ttl}, #shown = ${shown + 1}, #shownAtMs = ${nowMs}`
    await deps.table.update(strangersKey(deps, subject), set, isOwners || isFull ? undefined : isSame)
    return isOwners || !isFull
  }
  return retryRaces(deps, countOnce, 'temporarily_unavailable')
}

/**
 * Shows the vault a stranger's password that was counted. After a right one the vault forgets, and so does the count; what
 * the vault did not judge is taken back, so that an outage keeps nobody out.
 * @param isRight whether the vault has accepted the password
 */
export async function settleShown<T>(
  deps: Deps<'table' | 'keyring'>,
  subject: string,
  show: () => Promise<T>,
  isRight: (answer: T) => boolean,
): Promise<T> {
  const key = strangersKey(deps, subject)
  try {
    const answer = await show()
    if (isRight(answer)) await deps.table.remove(key)
    return answer
  } catch (error) {
    const isJudged = error instanceof DomainError && error.code === 'invalid_credentials'
    if (!isJudged)
      await deps.table
        .update(key, expr`SET #shown = #shown - ${1}`, expr`#shown > ${0}`)
        .catch(ignoreRefusal)
        .catch((failed: unknown) => {
          deps.log.warn('a try that the vault did not judge stays counted for some minutes', failed)
        })
    throw error
  }
}

/**
 * Looks at a password of an account whose holder is known to have it, such as a signed-in caller.
 * @param look what judges the password
 * @returns undefined if it is a stranger's, and too many of theirs were looked at.
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export async function lookAtPassword<T>(
  deps: Deps<'table' | 'keyring'>,
  account: Pick<Profile, 'id' | 'networks'>,
  look: () => Promise<T>,
  isRight: (answer: T) => boolean,
): Promise<T | undefined> {
  if (isOwnersNetwork(deps, account)) return look()
  const isShown = await countShown(deps, account.id, await readShown(deps, account.id), false)
  return isShown ? settleShown(deps, account.id, look, isRight) : undefined
}

/** The item that counts what strangers have typed for an account. Removing it begins the count again. */
export const strangersKey = (deps: Deps<'keyring'>, subject: string): Key =>
  keys.limit(deps.keyring.mac('mac:shown-to-vault', subject).toString('base64url').slice(0, 22), 0)
