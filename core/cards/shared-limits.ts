import type { Profile } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { attr, expr, join } from '../table/expression.ts'
import { keys, LIMIT_KEPT_MS, ttlAt } from '../table/keys.ts'
import { type ConditionFailed, type Item, ignoreRefusal, type Write } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'
import { fingerprintDigest } from './fingerprint.ts'

/**
 * How often new cards are tried by what is protected, whichever account tries. `velocity.ts` has the limits of one
 * account. Each count is exact, whatever comes at once: it is the condition of the write that counts.
 * - `number`: one card, until it is proved. A card that works gives its place back, so nobody is kept from paying.
 * - `mailbox`: all accounts of a mailbox; a try that reached no bank does not count.
 * - `requests`: the same with those, because each costs calls to the provider.
 * - `strangers`: all accounts of the deployment that have no card on file, so that a flood of new accounts leaves the
 *   provider's capacity to customers and renewals: six tries a second of four calls each are a quarter of the 100 calls
 *   a second, while requests and jobs of customers slow down for each other (`purchases/rate-budget.ts`).
 */
const LIMITS = {
  number: [
    { most: 10, withinMs: HOUR_MS },
    { most: 20, withinMs: DAY_MS },
  ],
  mailbox: [{ most: 6, withinMs: HOUR_MS }],
  requests: [{ most: 30, withinMs: HOUR_MS }],
  strangers: [
    { most: 1_200, withinMs: HOUR_MS },
    { most: 60, withinMs: 10_000 },
  ],
} satisfies Record<string, readonly { most: number; withinMs: number }[]>

type Protected = keyof typeof LIMITS

/** A count of a subject: the attribute of a window that is open at `atMs`. */
const countsOf = (whats: readonly Protected[], atMs: number) =>
  whats.flatMap((what) =>
    LIMITS[what].map(({ most, withinMs }) => {
      const window = Math.floor(atMs / withinMs)
      return { name: `${what}@${window}`, most, endsMs: (window + 1) * withinMs, withinMs }
    }),
  )

/** The item of a subject's counts, which has the longest of their windows, and when it may go. */
function itemOf(subject: string, whats: readonly Protected[], atMs: number) {
  const longestMs = Math.max(...countsOf(whats, atMs).map(({ withinMs }) => withinMs))
  const window = Math.floor(atMs / longestMs)
  return { key: keys.limit(subject, window), ...ttlAt((window + 1) * longestMs + LIMIT_KEPT_MS) }
}

function added(subject: string, whats: readonly Protected[], atMs: number, count: 1 | -1) {
  const { key, ttl } = itemOf(subject, whats, atMs)
  const adds = countsOf(whats, atMs).map(({ name }) => expr`${attr(name)} ${count}`)
  return { update: key, set: join([expr`SET #ttl = ${ttl} ADD `, join(adds, ', ')], '') }
}

function counted(subject: string, whats: readonly Protected[], atMs: number) {
  const hasRoom = countsOf(whats, atMs).map(
    ({ name, most }) => expr`(attribute_not_exists(${attr(name)}) OR ${attr(name)} < ${most})`,
  )
  return { ...added(subject, whats, atMs, 1), if: join(hasRoom, ' AND ') }
}

/** @param found the item that has left no room */
function refusal(found: Item | undefined, whats: readonly Protected[], atMs: number): DomainError {
  const full = countsOf(whats, atMs).filter(({ name, most }) => Number(found?.[name] ?? 0) >= most)
  const waitMs = Math.max(...full.map(({ endsMs }) => endsMs - atMs), 0)
  return new DomainError('too_many_cards_tried', {
    detail: 'Too many new cards are tried now. Nothing was charged. Try again after the time in Retry-After.',
    retryAfterSeconds: Math.max(Math.ceil(waitMs / 1000), 1),
  })
}

// --- Mailboxes and the deployment ---

/** Who tries a card. */
type Owner = Pick<Profile, 'id' | 'mailbox'>

/** An account that confirmed its address before its mailbox was kept stands for itself. */
const subjectOf = ({ id, mailbox = id }: Owner): string => mailbox
const OF_MAILBOX = ['mailbox', 'requests'] as const

/** All accounts without a card on file share one count. */
const DEPLOYMENT = 'cards'

/** Writes that count a try, for the transaction with which it begins: for the mailbox, and as one of a stranger. */
export const beginTry = (
  owner: Owner & { customer: { defaultCardId?: string | undefined } | undefined },
  nowMs: number,
): Write[] => [
  counted(subjectOf(owner), OF_MAILBOX, nowMs),
  ...(owner.customer?.defaultCardId === undefined ? [counted(DEPLOYMENT, ['strangers'], nowMs)] : []),
]

/**
 * Why a try could not begin.
 * @param at position of the first of `tries`, the writes of `beginTry`, in the transaction
 * @returns undefined if it was for another reason
 */
export function tryRefusal(
  { failed }: Pick<ConditionFailed, 'failed'>,
  at: number,
  tries: readonly Write[],
  nowMs: number,
): DomainError | undefined {
  if (failed.has(at)) return refusal(failed.get(at), OF_MAILBOX, nowMs)
  return tries.length > 1 && failed.has(at + 1)
    ? refusal(failed.get(at + 1), ['strangers'], nowMs)
    : undefined
}

// --- Numbers ---

/** The write that counts a try of a number, for the transaction without which no bank is asked. */
export const numberTry = (fingerprint: string, nowMs: number): Write =>
  counted(fingerprintDigest(fingerprint), ['number'], nowMs)

export const sharedNumberRefusal = (found: Item | undefined, nowMs: number): DomainError =>
  refusal(found, ['number'], nowMs)

/** What has tried a card, a verification or a sign-up. */
interface Tried {
  accountId: string
  createdAtMs: number
  /** Known once the try is counted for its number. */
  cardFingerprint?: string | undefined
}

/** The write that takes back the try of a number, for the transaction that proves it; none before it was counted. */
export const provedNumber = ({ cardFingerprint, createdAtMs }: Tried): Write[] =>
  cardFingerprint === undefined
    ? []
    : [added(fingerprintDigest(cardFingerprint), ['number'], createdAtMs, -1)]

/** Takes back what a try that reached no bank was counted for. Its request still counts. */
export async function uncountShared(deps: Deps<'table'>, owner: Owner, tried: Tried): Promise<void> {
  const { update, set } = added(subjectOf(owner), ['mailbox'], tried.createdAtMs, -1)
  await deps.table.update(update, set, expr`attribute_exists(pk)`).catch(ignoreRefusal)
  if (tried.cardFingerprint === undefined) return
  const number = added(fingerprintDigest(tried.cardFingerprint), ['number'], tried.createdAtMs, -1)
  await deps.table.update(number.update, number.set, expr`attribute_exists(pk)`).catch(ignoreRefusal)
}
