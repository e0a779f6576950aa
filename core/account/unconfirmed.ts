import { newCode } from '../credentials/codes.ts'
import { settleLeftPassword } from '../credentials/first-password.ts'
import { changeHolder } from '../credentials/holder.ts'
import { FIRST_PASSWORD } from '../credentials/set-password.ts'
import { DomainError } from '../errors.ts'
import { defaultKeyLookup } from '../keys/default-key.ts'
import { queueMail } from '../notifications/outbox.ts'
import type { QueuedMail } from '../notifications/queued-mail.ts'
import { trustAddress } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { AUDIT_PREFIX, dueAt, keys, LISTED_PREFIX } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { type Profile, parseProfile } from './account.ts'
import { emailKey, usernameKey } from './fields.ts'
import { moveGuard } from './profile.ts'

/** An account whose address nobody confirms for this long is removed, and its names are free again. */
export const UNCONFIRMED_MS = 7 * DAY_MS

/** What an account without a confirmed address may have besides its profile and counter. */
const LEFTOVERS = ['KEY#', 'NOTICE#', 'MAIL#', 'DAY#', AUDIT_PREFIX, 'OUT', LISTED_PREFIX]

/**
 * The code that confirms an unconfirmed account's address, and the mail that brings it there.
 * @param waitMs how long the job waits before it sends the mail instead; 0 if only the job is to send the mail.
 * @returns the look-up half for the profile, the mail, and the writes that store code and mail.
 */
export function confirmationOf(
  deps: Deps,
  { id: accountId, username }: Pick<Profile, 'id' | 'username'>,
  email: string,
  waitMs?: number,
): { confirmCode: string; mail: QueuedMail; writes: Write[] } {
  const code = newCode(deps, 'confirm-email', accountId)
  const { mail, write } = queueMail(
    deps,
    { accountId, to: email, template: 'confirm-email', values: { username }, codeLookup: code.lookup },
    waitMs,
  )
  return { confirmCode: code.lookup, mail, writes: [{ put: code.item }, write] }
}

/**
 * Nobody has proved the old address, so nobody is asked: the account has the new one at once, unconfirmed too, and a code
 * is mailed to it. Whatever was begun before has no effect any more: codes that were mailed to the old one, and a reset
 * with one of them that is under way. The first write is that of the profile.
 * @param waitMs as of `confirmationOf`
 * @param forgets whether the password goes, too: it may be that of whoever has the old mailbox.
 */
export function moveUnconfirmed(
  deps: Deps,
  account: Profile,
  email: string,
  { waitMs, forgets = false }: { waitMs?: number; forgets?: boolean } = {},
): { mail: QueuedMail; writes: Write[]; confirmCode: string } {
  const { id: accountId } = account
  const nowMs = deps.clock.nowMs()
  const { confirmCode, mail, writes: mailed } = confirmationOf(deps, account, email, waitMs)
  const trusted = trustAddress(nowMs)
  const holder = changeHolder({ sessions: {} })
  const moved = expr`#email = ${email}, #confirmCode = ${confirmCode}, #movedAtMs = ${nowMs}, #updatedAtMs = ${nowMs}`
  const isSame = unchangedSince(account, ['status', 'email', 'generation', 'confirmCode'])
  const writes: Write[] = [
    {
      update: keys.profile(accountId),
      set: setRemove(
        [moved, ...holder.set, ...trusted.set],
        [...holder.remove, ...trusted.remove, ...(forgets ? [FIRST_PASSWORD] : [])],
      ),
      if: join([isSame, expr`#emailVerified = ${false}`], ' AND '),
    },
    ...moveGuard(keys.emailGuard(emailKey(account.email)), keys.emailGuard(emailKey(email)), accountId),
    ...mailed,
  ]
  return { mail, writes, confirmCode }
}

/**
 * Removes an account whose address nobody has confirmed, and frees its names. It never bought or spent anything.
 * @returns false if it was confirmed since it was read.
 */
async function remove(deps: Deps<'table'>, profile: Profile): Promise<boolean> {
  const { id, email, username } = profile
  const isOwn = expr`#accountId = ${id}`
  // The owner of the address may have taken it with a mailed code.
  const emailGuard = keys.emailGuard(emailKey(email))
  const hasAddress = (await deps.table.get(emailGuard))?.accountId === id
  for (const prefix of LEFTOVERS)
    for (const { pk, sk } of await deps.table.list(keys.account(id), prefix))
      await deps.table.remove({ pk: String(pk), sk: String(sk) })
  return deps.table
    .transact([
      { remove: keys.profile(id), if: expr`#status = ${'pending'} AND #emailVerified = ${false}` },
      { remove: keys.usernameGuard(usernameKey(username)), if: isOwn },
      ...(hasAddress ? [{ remove: emailGuard, if: isOwn }] : []),
      { remove: defaultKeyLookup(profile) },
      { remove: keys.quota(id) },
    ])
    .then(() => true, refused)
}

/**
 * Removes accounts that nobody confirmed within a week. The vault has a user of such an account only if a backup was
 * restored or an earlier version has made it; it is removed first, because after a crash the next sweep can find the
 * account only by its profile. Of an account that was confirmed while the vault failed, and that nobody has signed in to
 * since, the password that still waits goes to the vault.
 * @returns how many were removed, and how many failed and stay due.
 */
export async function sweepUnconfirmed(
  deps: Deps<'table' | 'identity' | 'keyring'>,
  run: Run,
): Promise<Worked> {
  return eachDue(deps, 'PENDING', run, async (key) => {
    const item = await deps.table.get(key)
    if (!item) return false
    const profile = parseProfile(item)
    if (profile.emailVerified) {
      await settleLeftPassword(deps, profile)
      return false
    }
    if (profile.status !== 'pending' && !(await stop(deps, profile))) return false
    await deps.identity.remove(profile.id)
    return remove(deps, profile)
  })
}

/** Lets nobody confirm an account any more, before the vault forgets its user. */
const stop = (deps: Deps<'table'>, { id }: Profile): Promise<boolean> =>
  deps.table
    .update(
      keys.profile(id),
      expr`SET #status = ${'pending'}, #sessions = ${{}} REMOVE #confirmCode, #resetCode`,
      expr`#emailVerified = ${false} AND attribute_exists(#due)`,
    )
    .then(() => true, refused)

function refused(error: unknown): false {
  ignoreRefusal(error)
  return false
}

/**
 * Writes with which the owner of an address takes it from an account that never proved it. The sweep removes that
 * account.
 * @returns undefined if the account that has the address has proved it.
 * @throws ConditionFailed if that account is removed meanwhile
 * @throws DomainError `temporarily_unavailable` while that account is being erased
 */
export async function takeAddress(
  deps: Deps<'table'>,
  newOwnerId: string,
  address: string,
): Promise<Write[] | undefined> {
  const guard = keys.emailGuard(emailKey(address))
  const put = { ...guard, accountId: newOwnerId }
  const holderId = (await deps.table.get(guard))?.accountId
  if (holderId === undefined) return [{ put, if: expr`attribute_not_exists(pk)` }]
  if (holderId === newOwnerId) return []
  const item = await deps.table.get(keys.profile(String(holderId)))
  // It has just been removed.
  if (!item) throw new ConditionFailed(new Map())
  const holder = parseProfile(item)
  if (holder.emailVerified) return undefined
  // Its erasure frees the address, which may take an hour if a service does not answer.
  if (holder.status === 'erased') throw new DomainError('temporarily_unavailable')
  const due = dueAt('PENDING', holder.id, deps.clock.nowMs())
  return [
    { put, if: expr`#accountId = ${holder.id}` },
    {
      update: keys.profile(holder.id),
      set: expr`SET #status = ${'pending'}, #sessions = ${{}}, #due = ${due.due}, #dueAtMs = ${due.dueAtMs} REMOVE #confirmCode, #resetCode`,
      if: expr`#emailVerified = ${false} AND #status = ${holder.status}`,
    },
  ]
}
