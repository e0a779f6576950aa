import { parseAudit } from '../audit/entry.ts'
import { absentObject } from '../cards/absence.ts'
import { asciiEmail } from '../cards/ascii-email.ts'
import { hasEnded, parseHold } from '../cards/hold.ts'
import { readStoredCustomer } from '../cards/stored-customer.ts'
import { CODE_IN_PROFILE } from '../credentials/codes.ts'
import { mailRequestPurposes } from '../credentials/mail-requests.ts'
import { announce } from '../events/outbox.ts'
import { defaultKeyLookup } from '../keys/default-key.ts'
import { queueMail } from '../notifications/outbox.ts'
import { isUndeliverable } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { attr, expr, setRemove, unchangedSince } from '../table/expression.ts'
import {
  AUDIT_PREFIX,
  dueAt,
  endOfKind,
  type Key,
  keys,
  operatorAuditKey,
  WHOLE_PARTITION,
} from '../table/keys.ts'
import { leaseDue } from '../table/lease.ts'
import { ConditionFailed, type Item, ignoreRefusal, type Write } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'
import { type Profile, parseProfile } from './account.ts'
import { emailKey, usernameKey } from './fields.ts'

export type EraseDeps = Deps<'table' | 'identity' | 'payments'>

/** A step that failed, or that has to wait, is tried again after this time. */
const AGAIN_MS = HOUR_MS

/** For this long an unknown customer may be one of another account at the provider, whose key we have for now. */
const ABSENT_MS = 7 * DAY_MS

/**
 * Erases the accounts whose time has come. Each goes through four steps, and the profile keeps what the next one
 * needs, so that a run that ends early is resumed by a later one:
 * 1. The status becomes `erased`. This write and the one that undoes a deletion exclude each other; from now on
 *    nothing brings the account back. Webhooks no longer find the account by its customer.
 * 2. The password vault and the payment provider forget the person.
 * 3. The partition is cleared: `KEPT` says what stays of it as bookkeeping, and all else is removed.
 * 4. One transaction takes the names off the profile, frees them for others, and queues the last mail.
 *
 * A last look an hour later removes what a function has written that had read the account before.
 * @returns how many accounts were erased, and how many failed and stay due.
 */
export const sweepErasures = (deps: EraseDeps, run: Run): Promise<Worked> =>
  eachDue(deps, 'ERASE', run, (key) => eraseDue(deps, key))

/** Takes one account through its erasure, if it is due. @returns whether the account was erased. */
export async function eraseDue(deps: EraseDeps, key: Key): Promise<boolean> {
  const item = await leaseDue(deps, key, AGAIN_MS)
  const profile = item && parseProfile(item)
  if (profile?.eraseAtMs === undefined) return false
  if (profile.erasedAtMs !== undefined) return lookAgain(deps, profile)
  if (profile.status !== 'erased' && !(await beginErasure(deps, profile))) return false
  await deps.identity.remove(profile.id)
  await forgetCustomers(deps, profile)
  await clearPartition(deps, profile.id)
  await eraseNames(deps, profile.id)
  return true
}

/** @returns false if the account was restored, is suspended, or still has a payment or a hold that is open. */
async function beginErasure(deps: EraseDeps, profile: Profile): Promise<boolean> {
  const { id, eraseAtMs, customerId } = profile
  if (eraseAtMs === undefined || eraseAtMs > deps.clock.nowMs()) return false
  // A hold is released at the provider only as long as its customer is there.
  const holds = (await deps.table.list(keys.account(id), 'HOLD#')).map(parseHold)
  if (!holds.every(hasEnded)) return false
  const codes = Object.values(CODE_IN_PROFILE).flatMap((name) => profile[name] ?? [])
  try {
    await deps.table.transact([
      {
        update: keys.profile(id),
        set: expr`SET #status = ${'erased'}, #sessions = ${{}}, #generation = #generation + ${1} REMOVE #confirmCode, #changeCode, #resetCode, #recoveryCode, #recovery, #importedPassword, #registeredPassword`,
        if: expr`#status = ${'deactivated'} AND #eraseAtMs = ${eraseAtMs} AND attribute_not_exists(#openPurchase) AND attribute_not_exists(#openHold)`,
      },
      ...codes.map((code): Write => ({ remove: keys.code(code) })),
      ...(customerId === undefined ? [] : [{ remove: keys.customerOwner(customerId) }]),
    ])
    return true
  } catch (error) {
    ignoreRefusal(error)
    return false
  }
}

/**
 * Deletes the account's customers at the provider: the one on record, and any whose id was lost when a process
 * died after its creation.
 * @throws DomainError `temporarily_unavailable` for a customer that the provider does not know, which proves
 *   nothing, for the first week
 */
async function forgetCustomers(deps: EraseDeps, { id, customerId, email, eraseAtMs = 0 }: Profile) {
  const stored = await readStoredCustomer(deps, id)
  const address = asciiEmail(email)
  const lost = address === undefined ? [] : await deps.payments.findCustomers(id, address)
  for (const each of new Set([customerId, stored?.id, ...lost])) {
    if (each === undefined || (await deps.payments.deleteCustomer(each)) === 'deleted') continue
    if (deps.clock.nowMs() < eraseAtMs + ABSENT_MS) throw absentObject()
    const what = 'the provider has not known a customer for a week, so an account was erased without it'
    deps.log.warn(what, undefined, { accountId: id })
  }
}

/**
 * What stays of each kind of item: all of it, or the attributes listed here. Tax law wants the amounts and the times
 * of payments for years, and refunds and disputes that arrive late have to be booked. Neither needs a card, a
 * receipt or an address. Ids of the payment and its customer stay: they lead to the provider's own books, and say
 * nothing without them. A kind that is not listed is removed.
 */
const KEPT: readonly (readonly [prefix: string, attributes: readonly string[] | 'all'])[] = [
  ['#PROFILE', 'all'],
  ['#QUOTA', ['l', 'f', 'q', 's', 'u', 'd', 'm', 'g', 'o', 'x', 'X']],
  // Who did what and when stays, without what a person wrote or where they were.
  [AUDIT_PREFIX, ['id', 'atMs', 'action', 'accountId', 'by', 'name', 'requestId']],
  ['INVOICE#', 'all'],
  ['LEDGER#', 'all'],
  ['REFUND#', 'all'],
  // Other systems still hear of the last changes. Events name nobody, and end 30 days after they are published.
  ['OUT', 'all'],
  [
    'PURCHASE#',
    [
      ...['id', 'accountId', 'kind', 'state', 'bundle', 'units', 'amountCents', 'currency', 'customerId'],
      ...['asked', 'cardId', 'fingerprint', 'paymentId', 'createdAtMs', 'cycle', 'paidAtMs', 'ledgerSeq'],
      ...['openRefund', 'finished', 'refundedCents', 'disputedCents', 'returnedUnits', 'returnedCents'],
      ...['lostDisputes', 'due', 'dueAtMs', 'ttl'],
    ],
  ],
]

/** Attributes of a purchase that its readers need, but not their values. */
const BLANKED: readonly string[] = ['asked', 'cardId', 'fingerprint']
const BLANK = 'erased'

/** Items read at once, and items changed at once. */
const PAGE = 200
const WIDTH = 20

/** Clears the partition, from its first item to its last. Safe to repeat. */
async function clearPartition(deps: Deps<'table'>, accountId: string): Promise<void> {
  const pk = keys.account(accountId)
  let after: Key | undefined
  for (;;) {
    const items = await deps.table.list(pk, '', {
      between: WHOLE_PARTITION,
      limit: PAGE,
      ...(after && { after }),
    })
    const last = items.at(-1)
    if (!last) return
    const waiting = items.flatMap((item) =>
      [clearedItem(item) ?? [], operatorsCopyCleared(item) ?? []].flat(),
    )
    while (waiting.length > 0)
      await Promise.all(waiting.splice(0, WIDTH).map((write) => applyWrite(deps, write)))
    after = pastKept({ pk, sk: String(last.sk) })
  }
}

/** Skips what is left of a kind that stays as it is: an account may have a long ledger. */
function pastKept({ pk, sk }: Key): Key {
  const [prefix] =
    KEPT.find(([kept, what]) => what === 'all' && kept.endsWith('#') && sk.startsWith(kept)) ?? []
  return { pk, sk: prefix === undefined ? sk : endOfKind(prefix) }
}

/** The write that leaves of an item what stays; undefined if nothing else is in it. */
function clearedItem(item: Item): Write | undefined {
  const key = { pk: String(item.pk), sk: String(item.sk) }
  const [, kept] = KEPT.find(([prefix]) => key.sk.startsWith(prefix)) ?? []
  if (!kept) return isLastMail(item) ? undefined : { remove: key }
  if (kept === 'all') return undefined
  const gone = Object.keys(item).filter((name) => !['pk', 'sk', ...kept].includes(name))
  const blank = BLANKED.filter((name) => Object.hasOwn(item, name) && item[name] !== BLANK)
  if (gone.length + blank.length === 0) return undefined
  return {
    update: key,
    set: setRemove(
      blank.map((name) => expr`${attr(name)} = ${BLANK}`),
      gone.map((name) => expr`${attr(name)}`),
    ),
    if: expr`attribute_exists(pk)`,
  }
}

/** An operator's action is also in the operator's own list, where the entry of an account must say no more. */
function operatorsCopyCleared(item: Item): Write | undefined {
  if (!String(item.sk).startsWith(AUDIT_PREFIX)) return undefined
  const { by, name = '', atMs, id } = parseAudit(item)
  const copy = operatorAuditKey(name, atMs, id)
  return by === 'operator' ? clearedItem({ ...item, ...copy }) : undefined
}

const isLastMail = ({ values }: Item): boolean =>
  (values as { event?: unknown } | undefined)?.event === 'deleted'

async function applyWrite({ table }: Deps<'table'>, write: Write): Promise<void> {
  if ('remove' in write) await table.remove(write.remove)
  else if ('update' in write) await table.update(write.update, write.set, write.if).catch(ignoreRefusal)
}

/** What the profile of an erased account is read for: late refunds and disputes are booked against it. */
const BOOKS = [
  'id',
  'status',
  'generation',
  'createdAtMs',
  'eraseAtMs',
  'paid',
  'balanceCents',
  'creditCents',
  'owed',
  'ledgerSeq',
] as const satisfies (keyof Profile)[]

const ERASE_ATTEMPTS = 10

/**
 * Takes the names off the profile and frees them, with the last mail. The address stays in the outbox until that
 * mail is sent, for 7 days at most. Nobody is left then who knows that mail does not arrive there, so that is decided
 * here.
 */
async function eraseNames(deps: EraseDeps, accountId: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const item = await deps.table.get(keys.profile(accountId))
    const profile = item && parseProfile(item)
    if (!profile || profile.erasedAtMs !== undefined) return
    try {
      return await deps.table.transact(await namesGone(deps, profile))
    } catch (error) {
      // A refund was booked, or a name has moved: decide anew.
      if (!(error instanceof ConditionFailed) || tries === ERASE_ATTEMPTS) throw error
    }
  }
}

async function namesGone(deps: EraseDeps, profile: Profile): Promise<Write[]> {
  const { id, username, email, emailVerified } = profile
  const nowMs = deps.clock.nowMs()
  const isOwn = expr`#accountId = ${id}`
  const guards = [keys.usernameGuard(usernameKey(username)), keys.emailGuard(emailKey(email))]
  const own: Write[] = []
  for (const guard of guards)
    if ((await deps.table.get(guard))?.accountId === id) own.push({ remove: guard, if: isOwn })
  const values = { username, event: 'deleted', atMs: nowMs } as const
  const mail = queueMail(deps, { accountId: id, to: email, template: 'security', values }, 0)
  return [
    { put: erasedProfile(profile, nowMs), if: unchangedSince(profile, BOOKS) },
    ...own,
    ...guards.map((guard): Write => ({ remove: keys.passwordTries(guard) })),
    { remove: defaultKeyLookup(profile) },
    ...mailRequestPurposes.map((purpose): Write => ({ remove: keys.ask(purpose, emailKey(email)) })),
    ...(emailVerified && !isUndeliverable(profile) ? [mail.write] : []),
    announce(deps, id, 'account.erased', {}),
  ]
}

/** Only what is listed stays, so that no attribute of a later version is forgotten here. */
function erasedProfile(profile: Profile, nowMs: number): Item {
  const books = Object.fromEntries(BOOKS.map((name) => [name, profile[name]]))
  const nobody: Omit<Profile, (typeof BOOKS)[number]> = {
    username: '',
    email: '',
    emailVerified: false,
    erasedAtMs: nowMs,
    updatedAtMs: nowMs,
    sessions: {},
    twofaTries: 0,
    twofaTriedAtMs: 0,
    defaultKey: '',
    keyHash: '',
    defaultKeyAtMs: 0,
    keyCount: 0,
    nextKeySlot: 0,
    flags: { bundleAutoRenewal: false, lowQuotaNotification: false },
  }
  return { ...keys.profile(profile.id), ...books, ...nobody, ...dueAt('ERASE', profile.id, nowMs + AGAIN_MS) }
}

/** No function that had read the account before it was erased can still be running. */
async function lookAgain(deps: EraseDeps, profile: Profile): Promise<boolean> {
  const left = await readStoredCustomer(deps, profile.id)
  if (left) await forgetCustomers(deps, profile)
  // An imported account's first password may have been on its way to the vault.
  await deps.identity.remove(profile.id)
  await clearPartition(deps, profile.id)
  await deps.table.update(keys.profile(profile.id), expr`REMOVE #due, #dueAtMs`)
  return false
}
