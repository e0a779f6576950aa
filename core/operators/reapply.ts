import * as z from 'zod/mini'
import { type Account, isNobodys, readAccount } from '../account/account.ts'
import { changeAnyAccount } from '../account/change.ts'
import { closeAccount, eraseAccount, reopenAccount } from '../account/close.ts'
import { deactivateAccount } from '../account/deactivate.ts'
import type { EraseDeps } from '../account/erase.ts'
import { emailKey } from '../account/fields.ts'
import { mark as listAs } from '../account/listed.ts'
import { ruleDomain } from '../account/mail-domains.ts'
import { resumeAccount, suspendAccount } from '../account/suspend.ts'
import { blockCard } from '../cards/blocks.ts'
import { stopCoupon } from '../coupons/coupons.ts'
import { keepFactors } from '../credentials/recovery.ts'
import { FIRST_PASSWORD } from '../credentials/set-password.ts'
import { DomainError } from '../errors.ts'
import { type EventData, type EventTypeName, eventCatalogue } from '../events/catalogue.ts'
import type { Envelope } from '../events/stored-event.ts'
import { keyReplaced, keyRevoked, plainDefaultKey } from '../keys/application-keys.ts'
import { changeKeyOf } from '../keys/change-settings.ts'
import { DEFAULT_KEY_ID } from '../keys/key-text.ts'
import { listServices, revokeService } from '../keys/services.ts'
import { findStoredKey, type StoredKey } from '../keys/stored-keys.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { attr, expr, setRemove, unchangedSince } from '../table/expression.ts'
import {
  dueAt,
  keys,
  msKey,
  OUT_EVENT_PREFIX,
  outEventKey,
  PUBLISHED_EVENT_KEPT_MS,
  ttlAt,
} from '../table/keys.ts'
import { ignoreRefusal, type Write } from '../table/table.ts'
import { writeUnlessDone, writeWithEvent } from '../table/write-all.ts'
import { listOperators, removeOperator } from './accounts.ts'
import { listAdminKeys, revokeAdminKey } from './admin-keys.ts'

/*
 * After a restore: what was revoked since the backup is revoked again.
 *
 * - The archive of the stage's bus has every event that Bursar has published. A replay of it reaches one rule, which matches
 *   replayed events alone, and that starts this.
 * - Each event was stored in the transaction of its change. So a table that has the event has the change: a change from
 *   before the backup is never applied to it again. An event that was applied is stored, as the publisher would have.
 * - The replay is in no order. Of changes that undo each other, such as a suspension and its end, one is left out if the
 *   table has a later one.
 * - Nothing is created from an event, and no event brings a secret back: a rotated key gets a text that nobody has seen.
 */

type ReapplyDeps = MoneyDeps & EraseDeps & Deps<'keyring'>

/** What became of an event. `known`: the table has its change. */
export type Reapplied = 'applied' | 'known' | 'outdated' | 'no change' | 'gone' | 'malformed'

/** An event of ours that EventBridge replays: it says from which replay it comes. */
const replayed = z.object({
  'replay-name': z.string().check(z.minLength(1)),
  source: z.literal('bursar'),
  detail: z.object({
    id: z.string().check(z.minLength(1), z.maxLength(100)),
    type: z.string(),
    version: z.number(),
    sequence: z.number(),
    accountId: z.string().check(z.regex(/^[0-9a-f]{24}$/)),
    atMs: z.number(),
    data: z.record(z.string(), z.unknown()),
  }),
})

const REASON = 'the table was restored from a backup; this was so before'

/** Applies a change again. `done` are the writes that mark its event, for work that is one transaction. */
type Work<T extends EventTypeName> = (
  deps: ReapplyDeps,
  event: { accountId: string; atMs: number; data: EventData<T> },
  done: Write[],
) => Promise<unknown>

interface Change<T extends EventTypeName> {
  work: Work<T>
  /** Events of the account that say what is so later. By default none does. */
  undoneBy?: (data: EventData<T>, later: { type: string; data: Record<string, unknown> }) => boolean
}

/** @throws DomainError `not_found` */
async function accountOf(deps: Deps<'table'>, accountId: string): Promise<Account> {
  const account = await readAccount(deps, accountId)
  if (!account || isNobodys(account)) throw new DomainError('not_found')
  return account
}

async function deactivateAgain(deps: ReapplyDeps, { accountId }: { accountId: string }): Promise<void> {
  const account = await accountOf(deps, accountId)
  if (account.status === 'active') await deactivateAccount(deps, account)
}

/** The account is erased when it would have been. One that owes by now is deactivated, and not erased. */
async function closeAgain(
  deps: ReapplyDeps,
  { accountId, data }: { accountId: string; data: EventData<'account.closing'> },
): Promise<void> {
  // Deleting ends a suspension only for an operator who erases at once.
  if ((await accountOf(deps, accountId)).status === 'suspended') await resumeAccount(deps, accountId, REASON)
  try {
    await closeAccount(deps, accountId, { reason: REASON, forfeits: true })
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'balance_owed')) throw error
    return deactivateAgain(deps, { accountId })
  }
  const { eraseAtMs } = data
  const { due, dueAtMs } = dueAt('ERASE', accountId, eraseAtMs)
  await writeUnlessDone(deps, [
    {
      update: keys.profile(accountId),
      set: expr`SET #eraseAtMs = ${eraseAtMs}, #due = ${due}, #dueAtMs = ${dueAtMs}`,
      if: expr`#status = ${'deactivated'} AND #emailVerified = ${true} AND #eraseAtMs > ${eraseAtMs}`,
    },
  ])
}

/** No mail goes to the address from before the change: whoever reads it may be somebody else by now. */
const distrustAddress: Work<'account.email_changed'> = (deps, { accountId }, done) =>
  changeAnyAccount(deps, accountId, (account) => {
    const { email, undeliverable = {} } = account
    const now = { reason: 'replaced', atMs: deps.clock.nowMs() }
    return writeWithEvent(
      deps,
      [
        {
          update: keys.profile(accountId),
          set: expr`SET #undeliverable = ${{ ...undeliverable, [emailKey(email)]: now }}`,
          if: unchangedSince(account, ['email', 'undeliverable', 'generation']),
        },
        listAs(accountId, 'undeliverable'),
        told(
          deps,
          accountId,
          'We send no more mail to the e-mail address from before your last change. Please set your address again in your account.',
        ),
      ],
      done,
    )
  })

const told = (deps: Deps, accountId: string, text: string): Write => ({
  put: newNotice(deps, accountId, 'restored_backup', `We had to restore our data from a backup. ${text}`),
})

const RESET_PASSWORD =
  'Two-factor authentication, which you had switched on since, is off. So that your password alone lets nobody in, please reset it by mail, and switch two-factor authentication on again.'

async function changeAccess(
  deps: ReapplyDeps,
  { accountId, data }: { accountId: string; data: EventData<'account.access_changed'> },
  done: Write[],
): Promise<void> {
  const { what, passkeyId } = data
  const account = await accountOf(deps, accountId)
  const profile = keys.profile(accountId)
  if (what === 'recovery-stopped') {
    if (account.recovery) await keepFactors(deps, account)
  } else if (what === 'passkey-removed' && passkeyId !== undefined) {
    await deps.table
      .update(profile, expr`REMOVE #passkeys.${attr(passkeyId)}`, expr`attribute_exists(#passkeys)`)
      .catch(ignoreRefusal)
  } else if (what === 'password') {
    // The vault has the newer password. The first one, which waits in the profile, would let the older one in again.
    await deps.table.update(profile, setRemove([], [FIRST_PASSWORD]), expr`attribute_exists(pk)`)
  } else if (what === 'two-factor-on' && account.totp === undefined) {
    // The seed is lost. The password alone must not do what it did not do before.
    await deps.identity.setPassword(accountId, `${deps.ids.uuid()}!`)
    await writeUnlessDone(deps, [
      { update: profile, set: setRemove([], [FIRST_PASSWORD]), if: expr`attribute_exists(pk)` },
      told(deps, accountId, RESET_PASSWORD),
      ...done,
    ])
  }
}

/** Changes the keys of an account in one transaction with the event's mark, whatever the account's status. */
const changeKey = (
  deps: ReapplyDeps,
  { accountId, data }: { accountId: string; data: { keyId: string } },
  done: Write[],
  change: (account: Account, key: StoredKey | undefined) => Write[] | undefined,
): Promise<void> =>
  changeAnyAccount(deps, accountId, async (account) => {
    const writes = change(account, await findStoredKey(deps, accountId, data.keyId))
    if (writes) await writeWithEvent(deps, writes, done)
  })

/** The old text works no longer than its owner wanted; the new one is lost, so the owner has to rotate the key. */
const replaceAgain: Work<'key.rotated'> = (deps, event, done) =>
  changeKey(deps, event, done, (account, key) => {
    const { keyId, graceUntilMs = 0 } = event.data
    const old = key ?? (keyId === DEFAULT_KEY_ID ? plainDefaultKey(deps, account) : undefined)
    // A text that is newer than the event is not the one that was replaced.
    if (!old || old.createdAtMs > event.atMs) return undefined
    const text = `The application key ${old.name}, which you had rotated since, has to be rotated once more: its newer text is lost, and the older one is refused.`
    return [...keyReplaced(deps, account, key, graceUntilMs).writes, told(deps, account.id, text)]
  })

const switchOffAgain: Work<'key.changed'> = async (deps, { accountId, data }) => {
  if (!data.disabled) return
  await changeAnyAccount(deps, accountId, (account) =>
    changeKeyOf(deps, account, data.keyId, { enabled: false }),
  )
}

/** Revokes what operators had revoked. A credential of the same name that was made later stays. */
const revokeAgain: Work<'deployment.revoked'> = async (deps, { atMs, data: { what, id } }) => {
  const isLater = (all: { name: string; createdAtMs: number }[]) =>
    all.some(({ name, createdAtMs }) => name === id && createdAtMs > atMs)
  switch (what) {
    case 'service':
      return isLater(await listServices(deps)) || revokeService(deps, id, REASON)
    case 'admin-key':
      return isLater(await listAdminKeys(deps)) || revokeAdminKey(deps, id, REASON)
    case 'operator': {
      const operator = (await listOperators(deps)).find(({ accountId }) => accountId === id)
      if (!operator) throw new DomainError('not_found')
      return operator.addedAtMs > atMs || removeOperator(deps, operator.name, REASON)
    }
    case 'card':
      return blockCard(deps, id, REASON)
    case 'mail-domain':
      return ruleDomain(deps, id, 'block', REASON)
    case 'coupon':
      return stopCoupon(deps, id, REASON)
  }
}

/** Types of events that say whether an account is active. */
const STANDING: readonly string[] = [
  'account.suspended',
  'account.resumed',
  'account.deactivated',
  'account.closing',
  'account.restored',
  'account.erased',
]
const laterStanding = (_: unknown, { type }: { type: string }) => STANDING.includes(type)

/** What is applied again. An erasure is final, so nothing later counts against it. */
const changes: { [T in EventTypeName]?: Change<T> } = {
  'account.suspended': {
    work: (deps, { accountId }) => suspendAccount(deps, accountId, { reason: REASON, silent: true }),
    undoneBy: laterStanding,
  },
  'account.resumed': {
    work: (deps, { accountId }) => resumeAccount(deps, accountId, REASON),
    undoneBy: laterStanding,
  },
  'account.deactivated': { work: deactivateAgain, undoneBy: laterStanding },
  'account.closing': { work: closeAgain, undoneBy: laterStanding },
  'account.restored': {
    work: (deps, { accountId }) => reopenAccount(deps, accountId, REASON),
    undoneBy: laterStanding,
  },
  'account.erased': {
    work: (deps, { accountId }) => eraseAccount(deps, accountId, { reason: REASON, confirm: accountId }),
  },
  'account.email_changed': { work: distrustAddress },
  'account.access_changed': {
    work: changeAccess,
    undoneBy: ({ what }, { type, data }) =>
      type === 'account.access_changed' && what === 'two-factor-on' && data.what === 'two-factor-off',
  },
  'key.revoked': {
    work: (deps, event, done) =>
      changeKey(deps, event, done, (account, key) =>
        key && key.id !== DEFAULT_KEY_ID ? keyRevoked(deps, account, key) : undefined,
      ),
  },
  'key.rotated': { work: replaceAgain },
  'key.changed': {
    work: switchOffAgain,
    undoneBy: ({ keyId }, { type, data }) => type === 'key.changed' && data.keyId === keyId,
  },
  'deployment.revoked': { work: revokeAgain },
}

/** The types of events that are applied again, for the rule that gets them. */
export const reappliedTypes = Object.keys(changes) as [EventTypeName, ...EventTypeName[]]

/**
 * Applies a replayed event, once, however often it is delivered.
 * @throws DomainError for a change that could not be made now, so that the event is delivered again
 */
export async function reapplyEvent(deps: ReapplyDeps, event: unknown): Promise<Reapplied> {
  const parsed = z.safeParse(replayed, event)
  if (!parsed.success) return 'malformed'
  const { detail } = parsed.data
  const type = detail.type as EventTypeName
  const change = Object.hasOwn(changes, type) ? (changes[type] as Change<EventTypeName>) : undefined
  if (!change) return 'no change'
  const data = z.safeParse(eventCatalogue[type].data as z.ZodMiniType<EventData<EventTypeName>>, detail.data)
  if (!data.success) return 'malformed'
  const { accountId, atMs, id } = detail
  if (await deps.table.get(outEventKey(accountId, atMs, id))) return 'known'
  const later = change.undoneBy ? await laterEvents(deps, detail) : []
  const isUndone = later.some((each) => change.undoneBy?.(data.data, each))
  const done = [storedAgain(deps, detail)]
  if (!isUndone) {
    try {
      await change.work(deps, { accountId, atMs, data: data.data }, done)
    } catch (error) {
      // The account, or what was revoked, began after the backup.
      if (!(error instanceof DomainError && error.code === 'not_found')) throw error
      return 'gone'
    }
  }
  await writeUnlessDone(deps, done)
  return isUndone ? 'outdated' : 'applied'
}

/** The event as it was stored once it was published. */
function storedAgain(deps: Deps, { accountId, sequence, ...event }: Envelope): Write {
  const nowMs = deps.clock.nowMs()
  const item = {
    ...event,
    sequence,
    replayed: true,
    publishedAtMs: nowMs,
    ...ttlAt(nowMs + PUBLISHED_EVENT_KEPT_MS),
  }
  return {
    put: { ...outEventKey(accountId, event.atMs, event.id), ...item },
    if: expr`attribute_not_exists(pk)`,
  }
}

/** Replayed events of the account that are later than this one. What is applied announces itself anew, and is none of them. */
async function laterEvents(
  deps: Deps<'table'>,
  { accountId, atMs }: Envelope,
): Promise<{ type: string; data: Record<string, unknown> }[]> {
  const between: [string, string] = [msKey(atMs + 1), '~']
  const items = await deps.table.list(keys.account(accountId), OUT_EVENT_PREFIX, { between })
  const later = items.filter((item) => item.replayed === true)
  return later.map(({ type, data }) => ({ type: String(type), data: data as Record<string, unknown> }))
}
