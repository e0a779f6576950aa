import { type Account, isNobodys, type Profile, readAccount } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps, Tokens } from '../ports.ts'
import { resealed } from '../rotation.ts'
import { expr, join } from '../table/expression.ts'
import { type Key, keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ignoreRefusal } from '../table/table.ts'
import { parsePasswordHash } from './password-hash.ts'
import { countTry, forgetWrongPasswords, type PasswordTries } from './password-tries.ts'
import { CHANGING_MS, isUnchanging } from './set-password.ts'

/**
 * The password of an account that was imported with its hash from another system. The vault takes no hashes, so the
 * profile keeps it, sealed, until the first sign-in: the typed password is verified against the hash, then set at the
 * vault, and then the hash is removed. While the hash is there, the vault has either no user for the account or one
 * with this very password, so a crash between the two is settled by the next sign-in. Every other way to a password
 * removes the hash in its first write (`endSessionsFirst`), and waits while a first sign-in is at the vault.
 */

type ImportedDeps = Deps<'table' | 'identity' | 'keyring' | 'passwordHashes'>

const PURPOSE = 'seal:imported-password'

/** The hash as the profile stores it. It is nowhere else: not in a log line, an answer or an export. */
export const sealHash = (deps: Deps<'keyring'>, accountId: string, encoded: string): string =>
  deps.keyring.seal(PURPOSE, accountId, encoded)

/** The hash sealed with the root secret in use; undefined if it is, or cannot be read. */
export const resealedHash = (deps: Deps<'keyring'>, { id, importedPassword }: Profile): string | undefined =>
  importedPassword === undefined ? undefined : resealed(deps, PURPOSE, id, importedPassword)

/** An imported account that has not signed in yet. */
export type FirstAccount = Account & { importedPassword: string }

export const isFirstSignIn = (account: Account | undefined): account is FirstAccount =>
  account?.importedPassword !== undefined && !isNobodys(account)

/**
 * Checks the password of an account that has not signed in yet. It is counted as a wrong one before it is looked at, so
 * that no more guesses at once are looked at than one after the other; the right one is forgotten again. The vault is
 * asked meanwhile, as for every other name, so that a wrong password makes the same calls and takes about as long:
 * longer only if the hash takes longer than the vault.
 * @returns the wrong passwords before, too, which are forgotten already.
 * @param name the guard of the typed name, and the wrong passwords that were typed for it.
 * @throws DomainError `invalid_credentials`, `password_locked`; `password_refused` if the password is right, but
 *   shorter than the vault allows; `temporarily_unavailable`
 */
export async function firstSignIn(
  deps: ImportedDeps,
  name: { guard: Key; tries: PasswordTries },
  account: FirstAccount,
  password: string,
): Promise<{ account: Account; tokens: Tokens; tries: PasswordTries }> {
  const counted = await countTry(deps, name.guard, name.tries)
  const vault = deps.identity.signIn(account.id, password).then(
    (tokens) => ({ tokens }),
    (error: unknown) => ({ error }),
  )
  const isRight = await verifies(deps, account, password)
  const answer = await vault
  const begun = 'tokens' in answer && answer.tokens !== 'locked' ? answer.tokens : undefined
  try {
    if (isRight) await forgetWrongPasswords(deps, name.guard, counted)
    if ('error' in answer) throw answer.error
    if (!isRight || answer.tokens === 'locked') throw new DomainError('invalid_credentials')
    const settled = await settle(deps, account, begun ? undefined : password)
    const tokens = begun ?? (await deps.identity.signIn(account.id, password))
    // Somebody has set another password since.
    if (!tokens || tokens === 'locked') throw new DomainError('invalid_credentials')
    return { account: settled, tokens, tries: { ...name.tries, triedAtMs: 0 } }
  } catch (error) {
    if (begun) await deps.identity.revoke(begun.refreshToken)
    throw error
  }
}

/** @throws Error if the stored hash is none, although the import has checked it. */
async function verifies(deps: ImportedDeps, account: FirstAccount, password: string): Promise<boolean> {
  const encoded = deps.keyring.open(PURPOSE, account.id, account.importedPassword)
  // Its owner sets a password with a mailed code.
  if (encoded === undefined) return false
  const hash = parsePasswordHash(encoded)
  if ('refused' in hash) throw new Error('A stored password hash cannot be read.')
  return deps.passwordHashes.verify(hash, password)
}

/**
 * Removes the hash, and before that sets the password at the vault, unless the vault knows it already. Of several first
 * sign-ins at once one does it, and the others wait for it.
 * @param password undefined if the vault knows it.
 * @returns the account without the hash.
 */
async function settle(
  deps: ImportedDeps,
  read: FirstAccount,
  password: string | undefined,
): Promise<Account> {
  const settleOnce = async (tries: number): Promise<Account> => {
    const account = tries === 1 ? read : await readAccount(deps, read.id)
    // A reset has removed the hash, or the account is being erased.
    if (!account || isNobodys(account) || account.generation !== read.generation)
      throw new DomainError('invalid_credentials')
    const { importedPassword, unenrolled: _, changingUntilMs: __, ...settled } = account
    if (importedPassword === undefined) return settled
    const untilMs = password === undefined ? undefined : await enrol(deps, account, password)
    const isAlone =
      untilMs === undefined ? isUnchanging(deps.clock.nowMs()) : expr`#changingUntilMs = ${untilMs}`
    await deps.table.update(
      keys.profile(read.id),
      expr`REMOVE #importedPassword, #unenrolled, #changingUntilMs`,
      join([expr`#importedPassword = ${importedPassword}`, isAlone], ' AND '),
    )
    return settled
  }
  return retryRaces(deps, settleOnce, 'temporarily_unavailable')
}

/**
 * Sets the password at the vault. As in every change of a password, no other may begin and no sign-in may finish
 * meanwhile: a reset that began now would be overwritten with the old password.
 * @returns until when nobody else may change the password, epoch ms.
 * @throws ConditionFailed if the account has changed, or another request is at the vault
 */
async function enrol(deps: ImportedDeps, account: Account, password: string): Promise<number> {
  const nowMs = deps.clock.nowMs()
  const untilMs = nowMs + CHANGING_MS
  const profile = keys.profile(account.id)
  await deps.table.update(
    profile,
    expr`SET #changingUntilMs = ${untilMs}`,
    join(
      [
        expr`#importedPassword = ${account.importedPassword} AND #generation = ${account.generation} AND #status = ${account.status}`,
        isUnchanging(nowMs),
      ],
      ' AND ',
    ),
  )
  try {
    await deps.identity.enroll(account.id, password)
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'password_refused')) throw error
    await deps.table
      .update(profile, expr`REMOVE #changingUntilMs`, expr`#changingUntilMs = ${untilMs}`)
      .catch(ignoreRefusal)
    throw new DomainError('password_refused', { detail: OUTDATED, cause: error })
  }
  return untilMs
}

const OUTDATED =
  'Your password is right, but shorter than passwords may be by now. Ask for a code to set a new one.'
