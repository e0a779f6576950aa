import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { attr, expr, join } from '../table/expression.ts'
import { type Key, keys, LIMIT_KEPT_MS, ttlAt } from '../table/keys.ts'
import { ConditionFailed, type Item, type Write } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'

/** How many events a window of the clock has room for. */
interface Limit {
  most: number
  windowMs: number
}

const perHour = (most: number): Limit => ({ most, windowMs: HOUR_MS })
const perDay = (most: number): Limit => ({ most, windowMs: DAY_MS })

/**
 * The limits of what strangers can do for free, by what each protects. The count is exact, whatever comes at once: it is
 * the condition of the write that counts.
 * - `confirm-to`, `reset-to`: mails to one mailbox that strangers can cause, because its owner has not proved the
 *   address yet. They are counted apart, so that nobody who registers a stranger's address keeps its owner from a reset.
 * - `sign-up-of`: accounts that begin with addresses of one mailbox.
 * - `…-variant`: what of it addresses with tags may use, so that some is left for the plain address.
 * - `coupon`: coupons that one account tries, so that nobody guesses codes.
 * - `…-from`: requests from one network address to rows with that guard. A whole company may share an address.
 */
const LIMITS = {
  'confirm-to': perHour(6),
  'confirm-to-variant': perHour(4),
  'reset-to': perHour(6),
  'reset-to-variant': perHour(4),
  'sign-up-of': perDay(5),
  'sign-up-of-variant': perDay(4),
  coupon: perHour(20),
  'passwords-from': perHour(1_000),
  'codes-from': perHour(1_000),
  'cards-from': perHour(600),
  'mails-from': perHour(600),
  'sign-ups-from': perHour(300),
  'vault-from': perHour(6_000),
} satisfies Record<string, Limit>

export type Limited = keyof typeof LIMITS

/** Where a subject stands with a limit after an event. */
export interface LimitState {
  what: Limited
  most: number
  windowSeconds: number
  /** Events for which this window still has room. */
  left: number
  /** When the next window begins, epoch ms, and in how many seconds that is, at least 1. */
  endsMs: number
  resetSeconds: number
  /** Whether the limit has refused this event. */
  isFull: boolean
}

/**
 * Counts one more event under each of these limits, or under none if one of them is full. One write: all limits of one
 * call have the same window, and their counts are attributes of one item. The table holds a MAC of the subject until
 * an hour after the window, so that it does not tell who asked.
 */
export const countEvent = (
  deps: Deps<'table' | 'keyring'>,
  subject: string,
  ...whats: [Limited, ...Limited[]]
): Promise<LimitState[]> => countAt(deps, limitKey(deps, whats[0], subject), whats)

/** The same for what an account does: its id says nothing about anybody, so it needs no MAC. */
export const countForAccount = (
  deps: Deps<'table'>,
  accountId: string,
  ...whats: [Limited, ...Limited[]]
): Promise<LimitState[]> => countAt(deps, keys.limit(accountId, windowOf(deps, whats[0])), whats)

/**
 * The same count as a write for a transaction, which fails if one of the limits is full.
 * @returns the write, and the error for the item that its failed condition has found
 */
export function countedWrite(
  deps: Deps<'keyring'>,
  subject: string,
  ...whats: [Limited, ...Limited[]]
): { write: Write; refusal: (found: Item | undefined) => DomainError } {
  const write = countWrite(deps, limitKey(deps, whats[0], subject), whats)
  const refusal = (found: Item = {}) =>
    new DomainError('too_many_requests', {
      retryAfterSeconds: waitOf(standingsOf(deps, whats, found, true)),
    })
  return { write, refusal }
}

/** The longest wait that any of these limits demands, seconds; 0 if the event was counted. */
export const waitOf = (standings: readonly LimitState[]): number =>
  Math.max(0, ...standings.map(({ isFull, resetSeconds }) => (isFull ? resetSeconds : 0)))

/** @throws DomainError `too_many_requests` with the seconds until the next event counts, unless all were counted */
export function requireWithinLimit(standings: readonly LimitState[]): void {
  const retryAfterSeconds = waitOf(standings)
  if (retryAfterSeconds > 0) throw new DomainError('too_many_requests', { retryAfterSeconds })
}

/** The item that counts within the current window. Removing it begins the count again. */
export function limitKey(deps: Deps<'keyring'>, what: Limited, subject: string): Key {
  const mac = deps.keyring.mac('mac:limit', String(LIMITS[what].windowMs), subject).toString('base64url')
  return keys.limit(mac.slice(0, 22), windowOf(deps, what))
}

/** The number of the window since 1970 that is open. */
const windowOf = (deps: Deps, what: Limited): number => Math.floor(deps.clock.nowMs() / LIMITS[what].windowMs)

async function countAt(deps: Deps<'table'>, key: Key, whats: readonly Limited[]): Promise<LimitState[]> {
  const { set, if: hasRoom } = countWrite(deps, key, whats)
  const after = await deps.table
    .update(key, set, hasRoom)
    .then((item) => ({ item, isRefused: false }), refused)
  return standingsOf(deps, whats, after.item, after.isRefused)
}

function countWrite(deps: Deps, key: Key, whats: readonly Limited[]) {
  const { ttl } = ttlAt(endOf(deps, whats) + LIMIT_KEPT_MS)
  const counted = join(
    whats.map((what) => expr`${attr(what)} ${1}`),
    ', ',
  )
  const set = join([expr`SET #ttl = ${ttl} ADD `, counted], '')
  return { update: key, set, if: join(whats.map(hasRoom), ' AND ') }
}

/** When the open window of these limits ends, epoch ms. */
function endOf(deps: Deps, [what]: readonly Limited[]): number {
  const { windowMs } = LIMITS[what as Limited]
  return (Math.floor(deps.clock.nowMs() / windowMs) + 1) * windowMs
}

function standingsOf(deps: Deps, whats: readonly Limited[], item: Item, isRefused: boolean): LimitState[] {
  const endsMs = endOf(deps, whats)
  const resetSeconds = Math.ceil((endsMs - deps.clock.nowMs()) / 1000)
  return whats.map((what): LimitState => {
    const { most, windowMs } = LIMITS[what]
    const left = most - Number(item[what] ?? 0)
    const isFull = isRefused && left <= 0
    return { what, most, windowSeconds: windowMs / 1000, left, endsMs, resetSeconds, isFull }
  })
}

/** The item that leaves no room. */
function refused(error: unknown): { item: Item; isRefused: true } {
  if (!(error instanceof ConditionFailed)) throw error
  return { item: error.failed.get(0) ?? {}, isRefused: true }
}

const hasRoom = (what: Limited) =>
  expr`(attribute_not_exists(${attr(what)}) OR ${attr(what)} < ${LIMITS[what].most})`
