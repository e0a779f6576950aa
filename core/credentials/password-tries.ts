import type { Profile } from '../account/account.ts'
import { emailKey, usernameKey } from '../account/fields.ts'
import { DomainError } from '../errors.ts'
import { networkOf } from '../limits/network.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr, join } from '../table/expression.ts'
import { type Key, keys, ttlAt } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { type Item, ignoreRefusal } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'

/**
 * Wrong passwords, counted for the name that was typed and for the network that they came from. A lock holds for that
 * network alone, so nobody locks an owner out from elsewhere. It follows the same schedule for every name, known or not,
 * and the answer depends on it alone, so it does not tell which names exist. Two names of one account are counted apart,
 * because otherwise a lock of one would tell that the other belongs to it. How many passwords of an account the vault is
 * shown for strangers has a limit of its own (`stranger-tries.ts`).
 */

/** This many wrong passwords lock for a second, and each further one for twice as long. */
const FREE_TRIES = 5
const FIRST_LOCK_MS = 1000
/** The longest lock. Without a try for this long, the count begins again. */
const LONGEST_LOCK_MS = 15 * MINUTE_MS

/** The wait if the vault has locked a user of whom no wrong password is known here. */
const UNKNOWN_LOCK_MS = MINUTE_MS

/** Networks that one name counts apart. Whoever has more of them shares a count, so that the item stays small. */
const MOST_NETWORKS = 40
const OTHERS = 'others'

/** Wrong passwords in a row. */
interface Tries {
  tries: number
  /** The last of them, epoch ms; 0 if there is none. */
  triedAtMs: number
}

/** The wrong passwords that were typed for one name. */
export interface PasswordTries extends Tries {
  /** Stands for the caller's network, whose tries these are. */
  network: string
  /** Those of every network together. */
  all: Tries
}

const TRIES = 'tries'
const TRIED = 'triedAtMs'

/** The attributes that count for a network; without one those for all of them. */
const countOf = (network = '') => [TRIES + network, TRIED + network] as const

/**
 * Reads who has a name, and the wrong passwords that were typed for it. One read.
 * @param guard the uniqueness guard of the name.
 */
export async function readName(
  deps: Deps<'table' | 'keyring'>,
  guard: Key,
): Promise<{ accountId: string | undefined; tries: PasswordTries }> {
  const items = await deps.table.list(guard.pk, '#')
  const owner = items.find(({ sk }) => sk === guard.sk)
  const counted = items.find(({ sk }) => sk === keys.passwordTries(guard).sk) ?? {}
  return { accountId: owner && String(owner.accountId), tries: triesIn(deps, guard, counted) }
}

function triesIn(deps: Deps<'keyring'>, guard: Key, item: Item): PasswordTries {
  const own = deps.keyring
    .mac('mac:tries-from', guard.pk, networkOf(deps.origin?.ip ?? ''))
    .toString('base64url')
    .slice(0, 11)
  const counted = Object.keys(item).filter((name) => name.startsWith(TRIES)).length - 1
  const network = TRIES + own in item || counted < MOST_NETWORKS ? own : OTHERS
  return { network, ...triesOf(deps, item, network), all: triesOf(deps, item) }
}

function triesOf(deps: Deps, item: Item, network?: string): Tries {
  const [tries, tried] = countOf(network)
  const triedAtMs = Number(item[tried] ?? 0)
  const isOver = deps.clock.nowMs() - triedAtMs >= LONGEST_LOCK_MS
  return { tries: isOver ? 0 : Number(item[tries] ?? 0), triedAtMs }
}

/** @throws DomainError `password_locked` with the seconds until another password is looked at */
export function requireUnlocked(deps: Deps, tries: Tries): void {
  const waitMs = lockedForMs(deps, tries)
  if (waitMs > 0) throw locked(waitMs)
}

const locked = (waitMs: number) =>
  new DomainError('password_locked', { retryAfterSeconds: Math.ceil(waitMs / 1000) })

function lockedForMs(deps: Deps, { tries, triedAtMs }: Tries): number {
  if (tries < FREE_TRIES) return 0
  const lockMs = Math.min(FIRST_LOCK_MS * 2 ** (tries - FREE_TRIES), LONGEST_LOCK_MS)
  return Math.max(0, triedAtMs + lockMs - deps.clock.nowMs())
}

/** Counts a wrong password for a name, after the tries that were read. One write. */
export async function countWrongPassword(
  deps: Deps<'table'>,
  guard: Key,
  read: PasswordTries,
): Promise<void> {
  const key = keys.passwordTries(guard)
  const { set, hasEnded } = counting(deps, read)
  if (await deps.table.update(key, set, hasEnded).then(() => true, ignoreRefusal)) return
  // Of several concurrent requests after a pause, one has begun the count again.
  await deps.table.update(key, counting(deps, { ...read, tries: 1, all: { ...read.all, tries: 1 } }).set)
}

/** Counts one more, or begins a count again whose last try is too long ago, if nobody else has done so. */
function counting(
  deps: Deps,
  { network, all, ...own }: PasswordTries,
): { set: Expression; hasEnded: Expression | undefined } {
  const nowMs = deps.clock.nowMs()
  const counts = [
    { name: network, tries: own },
    { name: undefined, tries: all },
  ].map(({ name, tries }) => ({
    names: countOf(name),
    ...tries,
    hasEnded: tries.tries === 0 && tries.triedAtMs > 0,
  }))
  const sets = counts.map(({ names: [tries, tried], hasEnded }) =>
    hasEnded
      ? expr`${attr(tries)} = ${1}, ${attr(tried)} = ${nowMs}`
      : expr`${attr(tries)} = if_not_exists(${attr(tries)}, ${0}) + ${1}, ${attr(tried)} = ${nowMs}`,
  )
  const ended = counts.filter(({ hasEnded }) => hasEnded)
  const { ttl } = ttlAt(nowMs + LONGEST_LOCK_MS)
  return {
    set: join([expr`SET #ttl = ${ttl}`, ...sets], ', '),
    hasEnded:
      ended.length === 0
        ? undefined
        : join(
            ended.map(({ names: [, tried], triedAtMs }) => expr`${attr(tried)} = ${triedAtMs}`),
            ' AND ',
          ),
  }
}

/**
 * Counts a password as a wrong one before it is looked at. Of several at once that have read the same count one passes,
 * and the others read again, so that a lock keeps all of them from being looked at.
 * @param read the count as it was read.
 * @returns the count with this one.
 * @throws DomainError `password_locked`, `temporarily_unavailable`
 */
export function countTry(
  deps: Deps<'table' | 'keyring'>,
  guard: Key,
  read: PasswordTries,
): Promise<PasswordTries> {
  const countOnce = async (attempt: number): Promise<PasswordTries> => {
    const tries = attempt === 1 ? read : (await readName(deps, guard)).tries
    requireUnlocked(deps, tries)
    const triedAtMs = deps.clock.nowMs()
    const [count, tried] = countOf(tries.network)
    // A count that is over was read as 0.
    const isSame = [
      tries.triedAtMs === 0
        ? expr`attribute_not_exists(${attr(tried)})`
        : expr`${attr(tried)} = ${tries.triedAtMs}`,
      ...(tries.tries === 0 ? [] : [expr`${attr(count)} = ${tries.tries}`]),
    ]
    const { set, hasEnded } = counting(deps, tries)
    await deps.table.update(
      keys.passwordTries(guard),
      set,
      join([...isSame, ...(hasEnded ? [hasEnded] : [])], ' AND '),
    )
    return { ...tries, tries: tries.tries + 1, triedAtMs, all: { tries: tries.all.tries + 1, triedAtMs } }
  }
  return retryRaces(deps, countOnce, 'temporarily_unavailable')
}

/** After the right password the count begins again. No call if nothing was counted. */
export async function forgetWrongPasswords(
  deps: Deps<'table'>,
  guard: Key,
  { all }: PasswordTries,
): Promise<void> {
  if (all.triedAtMs > 0) await deps.table.remove(keys.passwordTries(guard))
}

type Names = Pick<Profile, 'email' | 'username'>

const guardsOf = ({ email, username }: Names) => [
  keys.emailGuard(emailKey(email)),
  keys.usernameGuard(usernameKey(username)),
]

/** Counts a wrong password that a signed-in caller has typed, for both names of the account. */
export async function countWrongPasswordOf(deps: Deps<'table' | 'keyring'>, account: Names): Promise<void> {
  await Promise.all(
    guardsOf(account).map(async (guard) =>
      countWrongPassword(deps, guard, (await readName(deps, guard)).tries),
    ),
  )
}

/** The error for a caller whose account the vault has locked. Only callers who are known to have it may learn that. */
export async function lockedAtVault(deps: Deps<'table' | 'keyring'>, account: Names): Promise<DomainError> {
  const names = await Promise.all(guardsOf(account).map((guard) => readName(deps, guard)))
  return locked(Math.max(0, ...names.map(({ tries }) => lockedForMs(deps, tries))) || UNKNOWN_LOCK_MS)
}
