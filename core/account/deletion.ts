import { changeHolder } from '../credentials/holder.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { tellOwner } from '../notifications/security.ts'
import type { SecurityEvent } from '../notifications/security-texts.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { changeRenewal } from '../purchases/renewal-state.ts'
import { type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { type Account, type Profile, readAccount } from './account.ts'
import { changeAccount } from './change.ts'
import { stopPayments } from './deactivate.ts'
import { emailKey } from './fields.ts'
import { UNCONFIRMED_MS } from './unconfirmed.ts'

/** For this long after its deletion an account can be kept by signing in. */
export const KEPT_AFTER_DELETION_MS = 30 * DAY_MS

/** Who deletes an account, and what the owner is told. */
interface Deleting {
  /** The owner agrees to lose the units that are left. */
  forfeits: boolean
  told: SecurityEvent
  /** Further writes of the transaction, which may say when the account is erased, epoch ms. */
  more?(eraseAtMs: number): Write[]
}

/**
 * Deletes an account: it is deactivated at once, auto-renewal is switched off, and payments that wait are canceled,
 * as in a deactivation. After 30 days the sweep erases it (`erase.ts`); until then, whatever restores the account
 * undoes the deletion. An account that nobody has confirmed goes when it would have lapsed.
 * @param forfeits the owner agrees to lose the units that are left.
 * @returns when the account is erased, epoch ms.
 * @throws DomainError `balance_owed`; `units_left` if units that were paid for are left or reserved and the owner
 *   has not agreed; `account_suspended`, `account_deactivated`, `conflict`
 */
export async function deleteAccount(deps: MoneyDeps, caller: Account, forfeits: boolean): Promise<number> {
  const deleting = { forfeits, told: 'deletion-begun' } as const
  const begun = await changeAccount(deps, caller, (account) => beginDeletion(deps, account, deleting)).catch(
    (error: unknown) => beganBefore(deps, caller, error),
  )
  await stopPayments(deps, begun.account)
  return begun.eraseAtMs
}

interface Begun {
  /** The account with the payment and the verification that were open when the deletion began. */
  account: Account
  eraseAtMs: number
}

/**
 * The first step of a deletion, for an account that is active or deactivated.
 * @throws ConditionFailed if the account has changed since it was read
 * @throws DomainError `balance_owed`, `units_left`
 */
export async function beginDeletion(
  deps: MoneyDeps,
  account: Account,
  { forfeits, told, more = () => [] }: Deleting,
): Promise<Begun> {
  requireSettled(account, forfeits)
  const nowMs = deps.clock.nowMs()
  const eraseAtMs = erasureOf(account, nowMs)
  const { pendingEmail } = account
  const { set, remove } = changeHolder(account)
  const flags = { ...account.flags, bundleAutoRenewal: false }
  // The messages of the deletion say that renewal is off.
  const renewal = changeRenewal(deps, account, { flags })
  await deps.table.transact([
    {
      update: keys.profile(account.id),
      set: setRemove(
        [
          ...set,
          ...renewal.set,
          expr`#status = ${'deactivated'}, #eraseAtMs = ${eraseAtMs}, #updatedAtMs = ${nowMs}`,
          ...dueToErase(account, eraseAtMs),
        ],
        [...remove, ...renewal.remove],
      ),
      if: join(
        [
          expr`#status = ${account.status}`,
          unchangedSince(account, ['eraseAtMs']),
          unchangedSince(account, ['openPurchase', 'openHold', 'balanceCents', 'paid', 'emailVerified']),
          renewal.unchanged,
        ],
        ' AND ',
      ),
    },
    // Consumes read the counter only, so the block is stored there too.
    { update: keys.quota(account.id), set: expr`SET #x = ${'deactivated'}` },
    ...tellOwner(deps, account, told),
    announce(deps, account.id, 'account.closing', { eraseAtMs }),
    ...renewal.events,
    // The change of the address is void, and its look-up is the new address.
    ...(pendingEmail === undefined
      ? []
      : [{ remove: keys.addressChange(emailKey(pendingEmail), account.id) }]),
    ...more(eraseAtMs),
  ])
  return { account, eraseAtMs }
}

/**
 * Debts are settled before, because afterwards nobody is left who could. Units of the trial are lost without a
 * word: they cost nothing.
 */
function requireSettled({ balanceCents, paid, quota }: Account, forfeits: boolean): void {
  if (balanceCents < 0) throw new DomainError('balance_owed')
  // The units of open reservations may come back.
  const units = (quota?.left ?? 0) + (quota?.held ?? 0)
  if (paid && units > 0 && !forfeits) throw new DomainError('units_left')
}

/** An account without a confirmed address lapses by itself, which the deletion does not postpone. */
const erasureOf = ({ emailVerified, createdAtMs }: Profile, nowMs: number): number =>
  emailVerified ? nowMs + KEPT_AFTER_DELETION_MS : Math.max(createdAtMs + UNCONFIRMED_MS, nowMs)

function dueToErase({ id, emailVerified }: Profile, eraseAtMs: number): Expression[] {
  if (!emailVerified) return []
  const { due, dueAtMs } = dueAt('ERASE', id, eraseAtMs)
  return [expr`#due = ${due}, #dueAtMs = ${dueAtMs}`]
}

/** A concurrent copy of the request was first. */
async function beganBefore(deps: Deps<'table'>, { id }: Account, error: unknown): Promise<Begun> {
  const isStopped = error instanceof DomainError && error.code === 'account_deactivated'
  const account = isStopped ? await readAccount(deps, id) : undefined
  if (account?.eraseAtMs === undefined) throw error
  return { account, eraseAtMs: account.eraseAtMs }
}

/**
 * Answers a request that repeats the one by which the account was deleted. The first one may have ended early, so
 * payments are canceled again.
 * @throws DomainError `refusal` if the account is only deactivated
 */
export async function repeatDeletion(
  deps: MoneyDeps,
  account: Account,
  refusal: DomainError,
): Promise<number> {
  if (account.status !== 'deactivated' || account.eraseAtMs === undefined) throw refusal
  await stopPayments(deps, account)
  return account.eraseAtMs
}
