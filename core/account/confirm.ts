import { auditWrites } from '../audit/entry.ts'
import { type CheckedCode, checkCode } from '../credentials/codes.ts'
import { enrolConfirmed, holding } from '../credentials/first-password.ts'
import { changeHolder } from '../credentials/holder.ts'
import { ownersNetworkSet } from '../credentials/stranger-tries.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { provedMailboxesOf } from '../limits/mailbox.ts'
import { newNotice } from '../notifications/notices.ts'
import { tellOwner } from '../notifications/security.ts'
import { marksWithout, trustAddress } from '../notifications/undeliverable.ts'
import { readPlans } from '../plans/current.ts'
import type { Deps } from '../ports.ts'
import { hadTrial, trialCheck, trialClaim, trialCredit } from '../quota/trial.ts'
import { expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { type Profile, parseProfile, readAccount, requireActive } from './account.ts'
import { customerDetailsDue } from './customer-due.ts'
import { emailKey } from './fields.ts'
import { takeAddress } from './unconfirmed.ts'

/**
 * Confirms the e-mail address that a code was mailed to: the registered address, which grants the trial quota unless its
 * mailbox has had it, and makes the vault's user; or the new address of a confirmed account. Until it expires, and for an
 * hour in any case, a code that was used is answered as before and does nothing more, unless the vault has no user yet.
 * @throws DomainError `invalid_code`; for a right code `account_deactivated`, `account_suspended`, and
 *   `email_taken` if another account has taken the new address meanwhile.
 */
export async function confirmEmail(
  deps: Deps<'table' | 'identity' | 'keyring'>,
  typed: string,
): Promise<void> {
  const { profile, heldUntilMs } = await retryRaces(deps, (tries) => confirmOnce(deps, typed, tries))
  if (profile) await enrolConfirmed(deps, profile, heldUntilMs)
}

/** The account whose first password is to be set at the vault now, if there may be one. */
interface Confirmed {
  profile?: Profile | undefined
  heldUntilMs?: number | undefined
}

/** A confirmation with the writes that make it, and the positions of those that another account may have been first with. */
type Written = Confirmed & { writes: Write[]; contested: number[] }

async function confirmOnce(
  deps: Deps<'table' | 'keyring'>,
  typed: string,
  tries: number,
): Promise<Confirmed> {
  const code = await checkCode(deps, CODES, typed)
  if (code.isDone) return { profile: await requireOwner(deps, code) }
  const use: Write = {
    update: code.key,
    set: join([expr`SET #done = ${true}`, code.keepForRepeats], ', '),
    if: join([code.usable, expr`attribute_not_exists(#done)`], ' AND '),
  }
  const isFirst = code.purpose === 'confirm-email'
  const begun = isFirst ? await confirmFirst(deps, code, tries) : await confirmChange(deps, code)
  if (begun && (await isWritten(deps, { ...begun, writes: [...begun.writes, use] }))) return begun
  // A concurrent copy of this request may have been first.
  const now = await checkCode(deps, CODES, typed)
  if (!now.isDone) throw new DomainError('invalid_code')
  return {}
}

/**
 * @returns false if the code or the account has changed.
 * @throws ConditionFailed if another account has taken or freed the new address meanwhile, or had the mailbox's trial.
 * @throws DomainError `account_deactivated`, `account_suspended`
 */
async function isWritten(deps: Deps<'table'>, { writes, contested }: Written): Promise<boolean> {
  try {
    await deps.table.transact(writes)
    return true
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const profile = error.failed.get(0)
    if (profile) requireActive(parseProfile(profile))
    // The first write updates the profile and the last one spends the code.
    const isStale = error.failed.has(0) || error.failed.has(writes.length - 1)
    if (!isStale && contested.some((at) => error.failed.has(at))) throw error
    return false
  }
}

const CODES = ['confirm-email', 'change-email'] as const

/** @throws DomainError `invalid_code` without an account, `account_deactivated`, `account_suspended` */
async function requireOwner(deps: Deps<'table'>, { accountId }: CheckedCode): Promise<Profile> {
  const item = await deps.table.get(keys.profile(accountId))
  if (!item) throw new DomainError('invalid_code')
  const profile = parseProfile(item)
  requireActive(profile)
  return profile
}

/**
 * Confirms the registered address and credits the trial. A confirmed account always stays confirmed, so the
 * trial is credited once. An account whose mailbox has had the trial begins without units, and is told why.
 * @param tries the first try expects that the mailbox had no trial, which saves a read.
 */
async function confirmFirst(
  deps: Deps<'table' | 'keyring'>,
  code: CheckedCode,
  tries: number,
): Promise<Written | undefined> {
  const { accountId } = code
  const item = await deps.table.get(keys.profile(accountId))
  if (!item) return undefined
  const profile = parseProfile(item)
  const [mailbox, ...earlier] = provedMailboxesOf(deps, profile.email)
  const { catalogue } = await readPlans(deps)
  const nowMs = deps.clock.nowMs()
  const wasGiven = catalogue.trialUnits > 0 && tries > 1 && (await hadTrial(deps, mailbox, ...earlier))
  const trialUnits = wasGiven ? 0 : catalogue.trialUnits
  const trial = trialCredit(accountId, nowMs, trialUnits)
  // Whoever registered the address may not be its owner.
  const holder = changeHolder({ sessions: {} })
  const trusted = trustAddress(nowMs)
  const held = holding(deps, profile)
  // While the root secret rotates, the mailbox has another name, too.
  const claims =
    trialUnits > 0 ? [trialClaim(mailbox, nowMs), ...earlier.map((name) => trialCheck(name, nowMs))] : []
  const writes: Write[] = [
    {
      update: keys.profile(accountId),
      set: setRemove(
        [
          ...holder.set,
          ...trusted.set,
          ...held.set,
          ...ownersNetworkSet(deps, accountId),
          expr`#emailVerified = ${true}, #mailbox = ${mailbox}, #ledgerSeq = ${trial.seq}, #updatedAtMs = ${nowMs}`,
          ...(trialUnits > 0 ? [expr`#trialUnits = ${trialUnits}`] : []),
        ],
        [
          ...holder.remove,
          ...trusted.remove,
          expr`#confirmCode, #movedAtMs`,
          // While a password waits, the sweep looks at the account again.
          ...(held.untilMs === undefined ? [expr`#due, #dueAtMs`] : []),
        ],
      ),
      if: expr`#confirmCode = ${code.lookup} AND #status = ${'active'} AND #emailVerified = ${false}`,
    },
    ...claims,
    ...trial.writes,
    ...(wasGiven ? [{ put: newNotice(deps, accountId, 'trial_used', TRIAL_USED) }] : []),
    announce(deps, accountId, 'account.confirmed', { trialUnits }),
    ...auditWrites(deps, { accountId, action: 'account.confirmed', by: 'owner' }),
  ]
  return { writes, contested: claims.map((_, at) => 1 + at), profile, heldUntilMs: held.untilMs }
}

const TRIAL_USED =
  'Your mailbox has had the trial units with another account, so this account begins without units. Buy a bundle to use it.'

/**
 * @returns undefined if the code is no longer the account's.
 * @throws DomainError `email_taken` if another account has proved the new address
 */
async function confirmChange(
  deps: Deps<'table' | 'keyring'>,
  code: CheckedCode,
): Promise<Written | undefined> {
  const { accountId } = code
  const account = await readAccount(deps, accountId)
  if (!account?.pendingEmail || account.changeCode !== code.lookup) return undefined
  const { email, pendingEmail } = account
  const holder = changeHolder({ sessions: {} })
  // The mail about the change goes to the old address, too, unless that one bounced.
  const trusted = trustAddress(deps.clock.nowMs(), marksWithout(account, pendingEmail), account)
  const taken = await takeAddress(deps, accountId, pendingEmail)
  if (!taken) throw new DomainError('email_taken')
  const writes: Write[] = [
    {
      update: keys.profile(accountId),
      set: setRemove(
        [
          ...holder.set,
          ...trusted.set,
          expr`#email = ${pendingEmail}, #mailbox = ${provedMailboxesOf(deps, pendingEmail)[0]}, #updatedAtMs = ${deps.clock.nowMs()}`,
          ...customerDetailsDue(deps, account),
        ],
        [...holder.remove, ...trusted.remove],
      ),
      if: expr`#changeCode = ${code.lookup} AND #status = ${'active'} AND #email = ${email}`,
    },
    ...taken,
    { remove: keys.emailGuard(emailKey(email)), if: expr`#accountId = ${accountId}` },
    ...tellOwner(deps, account, 'address-changed', [email, pendingEmail]),
    ...trusted.writes,
    announce(deps, accountId, 'account.email_changed', {}),
  ]
  return { writes, contested: [...taken.keys()].map((at) => 1 + at) }
}
