import * as z from 'zod/mini'
import { parseProfile } from '../account/account.ts'
import { owes } from '../account/listed.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { fingerprintKey, keys, msKey } from '../table/keys.ts'
import { digestOf } from '../table/request-key.ts'
import type { Write } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { type SignalReason, signalReasons } from './number.ts'

/** The list of the card numbers with which nothing can be bought. */
export const BLOCKED_CARDS = 'blocked-card'

/**
 * What is known of the number of a card in all accounts together: whether anything can be bought with it. The number is
 * known by the provider's fingerprint, which is as random as a key, so a digest of it needs no key to say nothing.
 */
const fingerprintSchema = z.object({
  /** Digest of the fingerprint. */
  digest: z.string(),
  /** Grows with each write, so that concurrent writes are not lost. */
  version: z.number(),
  /** Reports of fraud, by the id of the charge. They hold until the bank or an operator withdraws them. */
  reports: z.optional(
    z.record(
      z.string(),
      z.object({ accountId: z.string(), reason: z.enum(signalReasons), atMs: z.number() }),
    ),
  ),
  /** Charges whose reports an operator has withdrawn. They count no more, whenever they are reported again. */
  withdrawn: z.optional(z.array(z.string())),
  /** When an operator has blocked the card, epoch ms. */
  orderedAtMs: z.optional(z.number()),
  /** Since when nothing can be bought with the card, epoch ms: as long as there is a report or an operator's order. */
  blockedAtMs: z.optional(z.number()),
  /**
   * Accounts that owe for a refund or a dispute of a payment with the card, in order. Some may have paid since: whoever
   * wants to pay looks, and takes them off.
   */
  debtors: z.optional(z.array(z.string())),
})

export type Fingerprint = z.infer<typeof fingerprintSchema>

export const fingerprintDigest = (fingerprint: string): string => digestOf(['fingerprint', fingerprint])

/** What is known of a number, by the digest of its fingerprint. */
export async function readFingerprint(deps: Deps<'table'>, digest: string): Promise<Fingerprint> {
  const item = await deps.table.get(fingerprintKey(digest))
  return item ? z.parse(fingerprintSchema, item) : { digest, version: 0 }
}

/** The write of a record, if it still is as it was read. It is in the list of blocked cards while it is one. */
export function fingerprintWrite(before: Fingerprint, changed: Fingerprint, nowMs: number): Write {
  const { blockedAtMs: since = nowMs, ...record } = changed
  const isBlocked = record.orderedAtMs !== undefined || Object.keys(record.reports ?? {}).length > 0
  const { digest, version } = before
  return {
    put: {
      ...fingerprintKey(digest),
      ...record,
      version: version + 1,
      ...(isBlocked && { blockedAtMs: since, status: BLOCKED_CARDS, id: `${msKey(since)}-${digest}` }),
    },
    if: version === 0 ? expr`attribute_not_exists(pk)` : expr`#version = ${version}`,
  }
}

/**
 * The record with a report of fraud added or withdrawn.
 * @returns undefined if that changes nothing; a report that an operator has withdrawn stays withdrawn
 */
export function withFraud(
  before: Fingerprint,
  charge: { id: string; accountId: string; reason: SignalReason | undefined },
  nowMs: number,
): Fingerprint | undefined {
  const { id, accountId, reason } = charge
  const { [id]: known, ...others } = before.reports ?? {}
  if (known?.reason === reason) return undefined
  const reports = reason ? { ...others, [id]: { accountId, reason, atMs: nowMs } } : others
  return { ...before, reports }
}

/** Writes that attach an account's debt to the card of a payment that went back, or take it off. */
export async function debtWrites(
  deps: Deps<'table'>,
  fingerprint: string | undefined,
  accountId: string,
  isOwing: boolean,
): Promise<Write[]> {
  if (fingerprint === undefined) return []
  const before = await readFingerprint(deps, fingerprintDigest(fingerprint))
  const { debtors = [] } = before
  // A debt that is there already is written again, so that nobody takes it off by what it was before.
  if (!isOwing && !debtors.includes(accountId)) return []
  const others = debtors.filter((each) => each !== accountId)
  return [
    fingerprintWrite(
      before,
      withDebtors(before, isOwing ? [...others, accountId] : others),
      deps.clock.nowMs(),
    ),
  ]
}

const withDebtors = ({ debtors: _, ...record }: Fingerprint, debtors: readonly string[]): Fingerprint =>
  debtors.length > 0 ? { ...record, debtors: [...debtors].sort() } : record

/** The answer for a card that is blocked. It tells nothing of other accounts. */
const blockedCard = (): DomainError =>
  new DomainError('card_declined', {
    detail: 'We cannot accept this card, and nothing was charged. Use another card, or contact us.',
  })

const LOOKS = 5

/**
 * Looks whether a bank may be asked to pay an account with a card: the number is not blocked, and no other account owes
 * for a payment with it. What the account itself owes is paid by what it buys. Those who have paid since are taken off.
 * This is the last call before each confirmation of a payment, whoever confirms it and however long ago it was saved. So
 * a card that is blocked meanwhile is charged only if its bank is being asked at that moment.
 * @returns why not
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export async function blockRefusal(
  deps: Deps<'table'>,
  fingerprint: string | undefined,
  accountId: string,
): Promise<DomainError | undefined> {
  if (fingerprint === undefined) return undefined
  for (let looks = 0; looks < LOOKS; looks++) {
    const record = await readFingerprint(deps, fingerprintDigest(fingerprint))
    if (record.blockedAtMs !== undefined) return blockedCard()
    const others = record.debtors?.filter((each) => each !== accountId) ?? []
    // Nothing may come between this look and the bank, so whoever has paid is taken off before another look.
    if (others.length === 0) return undefined
    if (await doesAnyOwe(deps, others)) return blockedCard()
    const left = withDebtors(record, others.length === record.debtors?.length ? [] : [accountId])
    await writeUnlessDone(deps, [fingerprintWrite(record, left, deps.clock.nowMs())])
  }
  throw new DomainError('temporarily_unavailable')
}

async function doesAnyOwe(deps: Deps<'table'>, accountIds: readonly string[]): Promise<boolean> {
  for (const accountId of accountIds) {
    const profile = await deps.table.get(keys.profile(accountId))
    if (profile && owes(parseProfile(profile))) return true
  }
  return false
}
