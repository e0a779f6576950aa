import * as z from 'zod/mini'
import type { Profile } from '../account/account.ts'
import { emailKey, usernameKey } from '../account/fields.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { type Key, keys, ttlAt } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ignoreRefusal } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'

/**
 * Wrong passwords, counted for the name that was typed. The vault locks a user after wrong passwords, and only users
 * that exist. So an answer that tells of its lock would tell which names exist. These counters follow the same schedule
 * for every name, known or not, and the answer depends on them alone. Two names of one account are counted apart,
 * because otherwise a lock of one would tell that the other belongs to it.
 */

/** As the vault does it: this many wrong passwords lock for a second, and each further one for twice as long. */
const FREE_TRIES = 5
const FIRST_LOCK_MS = 1000
/** The longest lock. Without a try for this long, the count begins again. */
const LONGEST_LOCK_MS = 15 * MINUTE_MS

/** The wait if the vault has locked a user of whom no wrong password is known here. */
const UNKNOWN_LOCK_MS = MINUTE_MS

const triesSchema = z.object({ tries: z.number(), triedAtMs: z.number() })

/** Wrong passwords in a row for one name, with the time of the last, epoch ms. */
export type PasswordTries = z.infer<typeof triesSchema>

const NONE: PasswordTries = { tries: 0, triedAtMs: 0 }

/**
 * Reads who has a name, and the wrong passwords that were typed for it. One read.
 * @param guard the uniqueness guard of the name.
 */
export async function readName(
  deps: Deps<'table'>,
  guard: Key,
): Promise<{ accountId: string | undefined; tries: PasswordTries }> {
  const items = await deps.table.list(guard.pk, '#')
  const owner = items.find(({ sk }) => sk === guard.sk)
  const counted = items.find(({ sk }) => sk === keys.passwordTries(guard).sk)
  const tries = counted ? z.parse(triesSchema, counted) : NONE
  const isOver = deps.clock.nowMs() - tries.triedAtMs >= LONGEST_LOCK_MS
  return {
    accountId: owner && String(owner.accountId),
    tries: isOver ? { ...tries, tries: 0 } : tries,
  }
}

/** @throws DomainError `password_locked` with the seconds until another password is looked at */
export function requireUnlocked(deps: Deps, tries: PasswordTries): void {
  const waitMs = lockedForMs(deps, tries)
  if (waitMs > 0) throw locked(waitMs)
}

const locked = (waitMs: number) =>
  new DomainError('password_locked', { retryAfterSeconds: Math.ceil(waitMs / 1000) })

function lockedForMs(deps: Deps, { tries, triedAtMs }: PasswordTries): number {
  if (tries < FREE_TRIES) return 0
  const lockMs = Math.min(FIRST_LOCK_MS * 2 ** (tries - FREE_TRIES), LONGEST_LOCK_MS)
  return Math.max(0, triedAtMs + lockMs - deps.clock.nowMs())
}

/** Counts a wrong password for a name. One write. */
export async function countWrongPassword(deps: Deps<'table'>, guard: Key): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const key = keys.passwordTries(guard)
  const { ttl } = ttlAt(nowMs + LONGEST_LOCK_MS)
  const counts = expr`SET #tries = if_not_exists(#tries, ${0}) + ${1}, #triedAtMs = ${nowMs}, #ttl = ${ttl}`
  const isRunning = expr`attribute_not_exists(pk) OR #triedAtMs > ${nowMs - LONGEST_LOCK_MS}`
  if (await deps.table.update(key, counts, isRunning).then(() => true, ignoreRefusal)) return
  // The last try is too long ago to count, and one of several concurrent requests begins again.
  const begins = expr`SET #tries = ${1}, #triedAtMs = ${nowMs}, #ttl = ${ttl}`
  const isOver = expr`#triedAtMs <= ${nowMs - LONGEST_LOCK_MS}`
  if (await deps.table.update(key, begins, isOver).then(() => true, ignoreRefusal)) return
  await deps.table.update(key, counts)
}

/**
 * Counts a password as a wrong one before it is looked at. Of several at once that have read the same count one passes,
 * and the others read again, so that a lock keeps all of them from being looked at.
 * @param read the count as it was read.
 * @returns the count with this one.
 * @throws DomainError `password_locked`, `temporarily_unavailable`
 */
export function countTry(deps: Deps<'table'>, guard: Key, read: PasswordTries): Promise<PasswordTries> {
  const countOnce = async (attempt: number): Promise<PasswordTries> => {
    const { tries, triedAtMs } = attempt === 1 ? read : (await readName(deps, guard)).tries
    requireUnlocked(deps, { tries, triedAtMs })
    const nowMs = deps.clock.nowMs()
    const counted = { tries: tries + 1, triedAtMs: nowMs }
    const { ttl } = ttlAt(nowMs + LONGEST_LOCK_MS)
    // A count that is over was read as 0.
    const isSame =
      tries === 0 ? expr`#triedAtMs = ${triedAtMs}` : expr`#triedAtMs = ${triedAtMs} AND #tries = ${tries}`
    await deps.table.update(
      keys.passwordTries(guard),
      expr`SET #tries = ${counted.tries}, #triedAtMs = ${nowMs}, #ttl = ${ttl}`,
      triedAtMs === 0 ? expr`attribute_not_exists(pk)` : isSame,
    )
    return counted
  }
  return retryRaces(deps, countOnce, 'temporarily_unavailable')
}

/** After the right password the count begins again. No call if nothing was counted. */
export async function forgetWrongPasswords(
  deps: Deps<'table'>,
  guard: Key,
  { triedAtMs }: PasswordTries,
): Promise<void> {
  if (triedAtMs > 0) await deps.table.remove(keys.passwordTries(guard))
}

type Names = Pick<Profile, 'email' | 'username'>

const guardsOf = ({ email, username }: Names) => [
  keys.emailGuard(emailKey(email)),
  keys.usernameGuard(usernameKey(username)),
]

/** Counts a wrong password that a signed-in caller has typed, for both names of the account. */
export async function countWrongPasswordOf(deps: Deps<'table'>, account: Names): Promise<void> {
  await Promise.all(guardsOf(account).map((guard) => countWrongPassword(deps, guard)))
}

/** The error for a caller whose account the vault has locked. Only callers who are known to have it may learn that. */
export async function lockedAtVault(deps: Deps<'table'>, account: Names): Promise<DomainError> {
  const names = await Promise.all(guardsOf(account).map((guard) => readName(deps, guard)))
  return locked(Math.max(...names.map(({ tries }) => lockedForMs(deps, tries))) || UNKNOWN_LOCK_MS)
}
