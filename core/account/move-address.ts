import { auditWrites } from '../audit/entry.ts'
import { reasonWith } from '../audit/proved.ts'
import { newCode } from '../credentials/codes.ts'
import { keepAddress } from '../credentials/recovery.ts'
import { waitingBegun } from '../credentials/recovery-news.ts'
import { type OpenRecovery, openAddressMove } from '../credentials/recovery-state.ts'
import { DomainError } from '../errors.ts'
import { queueMail } from '../notifications/outbox.ts'
import { tellOwner } from '../notifications/security.ts'
import { isUndeliverable, marksWithout, trustAddress } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, setRemove, unchangedSince } from '../table/expression.ts'
import { ADDRESS_CHANGE_KEPT_MS, addressMoveKey, keys, ttlAt } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import type { Account } from './account.ts'
import { changeAnyAccount } from './change.ts'
import { emailKey } from './fields.ts'
import { moveUnconfirmed, takeAddress } from './unconfirmed.ts'

/**
 * A change of an account's address by an operator, for an owner who cannot reach the old mailbox. In every case the
 * new address has to be confirmed with a code that is mailed to it. A confirmed account keeps its old address until
 * then, and has 72 hours before the code is mailed: the old address is told at once and every day, and can stop the
 * change by a link. The wait is left out if the operator has another proof of who asks, which the audit log keeps.
 */

/** What the operator asks for. */
export interface WantedAddress {
  email: string
  reason: string
  /** How else the operator knows that it is the owner who asks, in words; undefined if the owner is to be told first. */
  proof?: string | undefined
}

/** Where the change stands. `waiting`: until the time, epoch ms; `confirming`: a code was mailed. */
export type AddressMove =
  | { state: 'waiting'; finishesAtMs: number }
  | { state: 'confirming' }
  /** The account has this address, and it is confirmed. */
  | { state: 'unchanged' }

/**
 * Begins the change, or finds the one to the same address that has begun.
 * @throws DomainError `not_found`; `email_taken`; `conflict` for an account that is not active, and without a proof for
 *   one whose mail does not arrive
 */
export const moveAddress = (
  deps: Deps<'table'>,
  accountId: string,
  wanted: WantedAddress,
): Promise<AddressMove> => changeAnyAccount(deps, accountId, (account) => moveOnce(deps, account, wanted))

async function moveOnce(deps: Deps<'table'>, account: Account, wanted: WantedAddress): Promise<AddressMove> {
  const { email, proof } = wanted
  if (account.status !== 'active')
    throw new DomainError('conflict', {
      detail: `The account is ${account.status}: make it active first, or nobody can confirm the address.`,
    })
  const isSame = (other: string | undefined) => other !== undefined && emailKey(other) === emailKey(email)
  if (isSame(account.email)) return { state: account.emailVerified ? 'unchanged' : 'confirming' }
  if (isSame(account.pendingEmail)) return { state: 'confirming' }
  if (!account.emailVerified) return moveAtOnce(deps, account, wanted)
  if (!(await takeAddress(deps, account.id, email))) throw new DomainError('email_taken')
  const open = openAddressMove(account, deps.clock.nowMs())
  if (proof !== undefined) return moveProved(deps, account, wanted)
  if (open && isSame(account.addressMove?.email)) return waitingMove(open)
  if (isUndeliverable(account))
    throw new DomainError('conflict', {
      detail:
        'Mail to the old address does not arrive, so its owner would not learn of it: this needs a proof.',
    })
  return beginMove(deps, account, wanted)
}

const waitingMove = ({ finishesAtMs }: OpenRecovery): AddressMove => ({ state: 'waiting', finishesAtMs })

/** What the change needs to be as it was read. */
const sameNames = (account: Account): Expression =>
  unchangedSince(account, [
    ...(['status', 'email', 'emailVerified', 'generation'] as const),
    ...(['pendingEmail', 'changeCode', 'confirmCode', 'addressMove'] as const),
  ])

const recorded = (deps: Deps, account: Account, { email, reason, proof }: WantedAddress): Write[] =>
  auditWrites(deps, {
    action: 'operator.address_change_begun',
    accountId: account.id,
    reason: reasonWith(reason, proof),
    before: { email: account.email },
    after: { email },
  })

/** Tells the old address, and waits. */
async function beginMove(deps: Deps<'table'>, account: Account, wanted: WantedAddress): Promise<AddressMove> {
  const beganAtMs = deps.clock.nowMs()
  const addressMove = { email: wanted.email, beganAtMs }
  const open = openAddressMove({ addressMove }, beganAtMs)
  if (!open) throw new Error('a change that has just begun waits')
  await deps.table.transact([
    {
      update: keys.profile(account.id),
      set: expr`SET #addressMove = ${addressMove}, #updatedAtMs = ${beganAtMs}`,
      if: sameNames(account),
    },
    ...waitingBegun(deps, account, 'addressMove', open),
    ...recorded(deps, account, wanted),
  ])
  return waitingMove(open)
}

/** Mails the code to the new address at once, and tells the old one. */
async function moveProved(
  deps: Deps<'table'>,
  account: Account,
  wanted: WantedAddress,
): Promise<AddressMove> {
  await deps.table.transact([
    ...confirmation(deps, account, wanted.email),
    ...tellOwner(deps, account, 'address-requested'),
    ...recorded(deps, account, wanted),
  ])
  return { state: 'confirming' }
}

/** The writes by which a confirmed account waits for a new address to be confirmed, and the mail with the code. */
function confirmation(deps: Deps<'table'>, account: Account, email: string): Write[] {
  const { id: accountId, username } = account
  const nowMs = deps.clock.nowMs()
  const code = newCode(deps, 'change-email', accountId)
  const trusted = trustAddress(nowMs, marksWithout(account, email))
  const change = { ...keys.addressChange(emailKey(email), accountId), accountId }
  const { write } = queueMail(
    deps,
    {
      accountId,
      to: email,
      template: 'change-email',
      values: { username },
      codeLookup: code.lookup,
    },
    0,
  )
  return [
    {
      update: keys.profile(accountId),
      set: setRemove(
        [
          expr`#pendingEmail = ${email}, #changeCode = ${code.lookup}, #updatedAtMs = ${nowMs}`,
          ...trusted.set,
        ],
        [expr`#addressMove`, ...trusted.remove],
      ),
      if: sameNames(account),
    },
    { put: code.item },
    { put: { ...change, ...ttlAt(nowMs + ADDRESS_CHANGE_KEPT_MS) } },
    { remove: addressMoveKey(accountId) },
    write,
  ]
}

/** The writes of the job once the 72 hours are over. */
export const finishAddressMove = (deps: Deps<'table'>, account: Account): Write[] => {
  const email = account.addressMove?.email ?? account.email
  return [
    ...confirmation(deps, account, email),
    ...auditWrites(deps, {
      action: 'operator.address_change_mailed',
      accountId: account.id,
      after: { email },
    }),
  ]
}

async function moveAtOnce(
  deps: Deps<'table'>,
  account: Account,
  wanted: WantedAddress,
): Promise<AddressMove> {
  // Of a mistyped address the owner of that mailbox may have set the password.
  const forgets = account.holderEmail !== undefined
  const { writes } = moveUnconfirmed(deps, account, wanted.email, { waitMs: 0, forgets })
  try {
    await deps.table.transact([...writes, ...recorded(deps, account, wanted)])
  } catch (error) {
    if (!(error instanceof ConditionFailed) || error.failed.has(0)) throw error
    throw new DomainError('email_taken')
  }
  return { state: 'confirming' }
}

/**
 * Stops a change that waits, or whose code was mailed but not used. Without one it does nothing.
 * @throws DomainError `not_found`, `conflict`
 */
export const stopAddressMove = (deps: Deps<'table'>, accountId: string, reason: string): Promise<void> =>
  changeAnyAccount(deps, accountId, async (account) => {
    const { id, email, addressMove, pendingEmail } = account
    const stopped = addressMove?.email ?? pendingEmail
    if (stopped === undefined) return
    const audited = auditWrites(deps, {
      action: 'operator.address_change_stopped',
      accountId: id,
      reason,
      before: { email: stopped },
      after: { email },
    })
    if (addressMove) return keepAddress(deps, account, audited)
    await deps.table.transact([
      {
        update: keys.profile(id),
        set: setRemove([], [expr`#pendingEmail`, expr`#changeCode`]),
        if: unchangedSince(account, ['pendingEmail', 'changeCode']),
      },
      { remove: keys.addressChange(emailKey(stopped), id) },
      ...tellOwner(deps, account, 'address-kept'),
      ...audited,
    ])
  })
