import { type Account, isNobodys, readAccount } from '../account/account.ts'
import { listChange } from '../account/listed.ts'
import type { Action } from '../audit/actions.ts'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { unitsOwed } from '../purchases/owed-units.ts'
import { applyLedger, entriesChange } from '../quota/apply-ledger.ts'
import type { Quota } from '../quota/quota.ts'
import { owingAlarm } from '../quota/reservation.ts'
import { expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { readRequestKey, storeRequestKey } from '../table/request-key.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { type LedgerEntry, ledgerWrites, type NewEntry, parseEntry } from './entry.ts'

/** What every change of an operator comes with. */
export interface OperatorRequest {
  /** Why, in the operator's words, for the audit log. */
  reason: string
  /** A repeat with the same key gets the first answer and changes nothing. */
  idempotencyKey: string | undefined
}

/** What an operator's change has done, and where the account stands now. */
export interface Booked extends BookedStanding {
  entry: LedgerEntry
}

/** Where an account stands after an operator's request. */
export interface BookedStanding {
  left: number
  owedUnits: number
  balanceCents: number
  /** ISO 4217, of the balance. */
  currency: string
  /** An earlier copy of the request has made the entry. */
  replayed: boolean
}

/** An account whose counter includes every entry of its ledger. */
export type OperatedAccount = Account & { quota: Quota }

/** Ledger entries with what follows from them, as decided for the account as it was read. */
export interface Booking {
  /** The first entry is that of the request. Only this one may have units that expire. */
  entries: readonly [NewEntry, ...NewEntry[]]
  owed: Account['owed']
  creditCents: number
  /** Writes to other items, such as purchases. */
  writes: readonly Write[]
}

/** The change of one operator's request. */
export interface OperatorChange extends Booking {
  /** The event, for whom the number of the first entry is known only now. */
  announce(seq: number): Write
  notice: { messageType: string; text: string }
}

/**
 * Books an operator's change in one transaction: ledger, balance, counter, request record, audit log, event and notice.
 * The counter moves in the same transaction, as for a refund, so that an operator's answer is what the next consume
 * finds; a consume that conflicts with it is retried.
 * @param content the request as sent; another content under the same Idempotency-Key is refused.
 * @param decide throws a DomainError for a change that the account does not allow.
 * @throws DomainError `not_found`, `idempotency_key_reused`, `temporarily_unavailable` after too many lost races
 */
export async function bookOperatorChange(
  deps: Deps<'table'>,
  accountId: string,
  request: OperatorRequest & { action: Action; content: unknown },
  decide: (standing: OperatedAccount) => Promise<OperatorChange> | OperatorChange,
): Promise<Booked> {
  const { entry, ...standing } = await bookIfNeeded(deps, accountId, request, decide)
  if (!entry) throw new Error('an operator request has no ledger entry, although one transaction wrote both')
  return { entry, ...standing }
}

/** The number that a request is remembered by which found nothing to change. Entries of the ledger begin with 1. */
const NO_ENTRY = '0'

/**
 * As `bookOperatorChange`, for a request that may find nothing to change: then nothing is booked, and its
 * Idempotency-Key is remembered all the same.
 * @param decide returns undefined if there is nothing to change.
 * @returns `entry`, the entry of the request; undefined if it has booked none
 */
export async function bookIfNeeded(
  deps: Deps<'table'>,
  accountId: string,
  request: OperatorRequest & { action: Action; content: unknown },
  decide: (standing: OperatedAccount) => Promise<OperatorChange | undefined> | OperatorChange | undefined,
): Promise<BookedStanding & { entry: LedgerEntry | undefined }> {
  const { idempotencyKey, content } = request
  return retryRaces(
    deps,
    async () => {
      const key =
        idempotencyKey === undefined
          ? undefined
          : await readRequestKey(deps, accountId, operatorKey(idempotencyKey), content)
      const before = await readStanding(deps, accountId)
      if (key?.replaces !== undefined) return replay(deps, before, key.replaces)
      const change = await decide(before)
      if (!change) {
        if (key) await deps.table.transact([storeRequestKey(deps, accountId, key, NO_ENTRY)])
        return { entry: undefined, ...standingAt(before), replayed: false }
      }
      const first = before.ledgerSeq + 1
      await deps.table.transact([
        ...(await bookingWrites(deps, before, change)),
        ...auditWrites(deps, {
          accountId,
          reason: request.reason,
          ...audited(request.action, before, change),
        }),
        change.announce(first),
        { put: newNotice(deps, accountId, change.notice.messageType, change.notice.text) },
        ...(key ? [storeRequestKey(deps, accountId, key, String(first))] : []),
      ])
      return bookedAt(deps, before, change)
    },
    'temporarily_unavailable',
  )
}

/** Operators' keys have a space of their own, so that no customer's key can be in their way. */
export const operatorKey = (idempotencyKey: string) => ['operator', idempotencyKey] as const

/**
 * @throws DomainError `not_found` for an account that is not there yet or has been erased; `conflict` before its address is
 *   confirmed, because its ledger begins with the trial
 * @throws ConditionFailed if the counter had to be brought up to the ledger first: read again
 */
async function readStanding(deps: Deps<'table'>, accountId: string): Promise<OperatedAccount> {
  const standing = await readOperated(deps, accountId)
  if (!standing) throw new DomainError('not_found')
  if (!standing.emailVerified)
    throw new DomainError('conflict', { detail: 'Nobody has confirmed the address of this account yet.' })
  return standing
}

/**
 * Reads an account whose counter includes every entry of its ledger.
 * @returns undefined for an account that is not there yet or has been erased
 * @throws ConditionFailed if the counter had to be brought up to the ledger first: read again
 */
export async function readOperated(
  deps: Deps<'table'>,
  accountId: string,
): Promise<OperatedAccount | undefined> {
  const account = await readAccount(deps, accountId)
  if (!account?.quota || isNobodys(account)) return undefined
  if (account.quota.seq === account.ledgerSeq) return { ...account, quota: account.quota }
  await applyLedger(deps, accountId)
  throw new ConditionFailed(new Map())
}

/**
 * The writes of ledger, balance and counter, for a transaction. They fail if the account or its counter is not as it was
 * read.
 * @throws ConditionFailed if the counter had to be changed before it can take units that expire: read again
 */
export async function bookingWrites(
  deps: Deps<'table'>,
  before: OperatedAccount,
  { entries, owed, creditCents, writes }: Booking,
): Promise<Write[]> {
  const { id, quota, ledgerSeq } = before
  const nowMs = deps.clock.nowMs()
  const seq = ledgerSeq + entries.length
  const moved = await entriesChange(deps, id, quota, entries, seq)
  if (!moved) throw new ConditionFailed(new Map())
  const set = [
    expr`#ledgerSeq = ${seq}, #balanceCents = ${balanceAfter(before, entries)}, #updatedAtMs = ${nowMs}`,
    ...(owed ? [expr`#owed = ${owed}`] : []),
    ...(creditCents > 0 ? [expr`#creditCents = ${creditCents}`] : []),
  ]
  const remove = [...(owed ? [] : [expr`#owed`]), ...(creditCents > 0 ? [] : [expr`#creditCents`])]
  return [
    {
      update: keys.profile(id),
      set: setRemove(set, remove),
      if: join([expr`#ledgerSeq = ${ledgerSeq}`, unchangedSince(before, ['status'])], ' AND '),
    },
    ...ledgerWrites(id, ledgerSeq, nowMs, [...entries]),
    { update: keys.quota(id), ...moved },
    ...writes,
    ...listChange(before, { owed, balanceCents: balanceAfter(before, entries) }),
    // Reserved units are not left. What they could have paid is taken once they return.
    ...(owed && quota.held > 0 ? [owingAlarm(deps, id)] : []),
  ]
}

const balanceAfter = ({ balanceCents }: OperatedAccount, entries: readonly NewEntry[]): number =>
  entries.reduce((sum, { amountCents }) => sum + amountCents, balanceCents)

function audited(action: Action, before: OperatedAccount, { entries, owed }: OperatorChange) {
  const units = entries.reduce((sum, entry) => sum + entry.units, 0)
  return {
    action,
    before: {
      left: before.quota.left,
      owedUnits: unitsOwed(before),
      balanceCents: before.balanceCents,
    },
    after: {
      left: before.quota.left + units,
      owedUnits: unitsOwed({ owed }),
      balanceCents: balanceAfter(before, entries),
    },
  }
}

function bookedAt(deps: Deps, before: OperatedAccount, { entries, owed }: OperatorChange): Booked {
  const units = entries.reduce((sum, entry) => sum + entry.units, 0)
  const [first] = entries
  return {
    entry: { ...first, seq: before.ledgerSeq + 1, atMs: first.atMs ?? deps.clock.nowMs() },
    left: before.quota.left + units,
    owedUnits: unitsOwed({ owed }),
    balanceCents: balanceAfter(before, entries),
    currency: CURRENCY,
    replayed: false,
  }
}

/** The answer to a repeat: the entry of the first request, and where the account stands now. */
async function replay(
  deps: Deps<'table'>,
  now: OperatedAccount,
  seq: string,
): Promise<BookedStanding & { entry: LedgerEntry | undefined }> {
  const item = seq === NO_ENTRY ? undefined : await deps.table.get(keys.ledger(now.id, Number(seq)))
  return { entry: item && parseEntry(item), ...standingAt(now), replayed: true }
}

const standingAt = (now: OperatedAccount): Omit<BookedStanding, 'replayed'> => ({
  left: now.quota.left,
  owedUnits: unitsOwed(now),
  balanceCents: now.balanceCents,
  currency: CURRENCY,
})
