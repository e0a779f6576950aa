import { emailKey } from '../account/fields.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { type Key, keys, LIMIT_KEPT_MS, ttlAt } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { HOUR_MS } from '../time.ts'

/**
 * How often each thing may happen within an hour of the clock.
 * - `confirm-to`, `reset-to`: mails to one mailbox that strangers can cause, because its owner has not proved the
 *   address yet. They are counted apart, so that nobody who registers a stranger's address keeps its owner from a reset.
 * - `register`, `ask-for-mail`: requests from one network address. A whole company may share an address.
 * - `coupon`: coupons that one account tries, so that nobody guesses codes.
 */
const HOURLY = { 'confirm-to': 6, 'reset-to': 6, register: 300, 'ask-for-mail': 600, coupon: 20 }

export type Limited = keyof typeof HOURLY

/**
 * Counts one more event within this hour: one write. The table holds a MAC of the subject for two hours at most, so
 * that it does not tell who asked.
 * @returns how many seconds the limit lasts; 0 if the event is within the limit.
 */
export const countInHour = (
  deps: Deps<'table' | 'keyring'>,
  what: Limited,
  subject: string,
): Promise<number> => countAt(deps, what, hourlyLimitKey(deps, what, subject))

/** The same for what an account does: its id says nothing about anybody, so it needs no MAC. */
export const countForAccount = (deps: Deps<'table'>, what: Limited, accountId: string): Promise<number> =>
  countAt(deps, what, keys.limit(`${what}:${accountId}`, Math.floor(deps.clock.nowMs() / HOUR_MS)))

async function countAt(deps: Deps<'table'>, what: Limited, key: Key): Promise<number> {
  const nowMs = deps.clock.nowMs()
  const hour = Math.floor(nowMs / HOUR_MS)
  const { ttl } = ttlAt(nowMs + LIMIT_KEPT_MS)
  try {
    await deps.table.update(
      key,
      expr`SET #ttl = ${ttl} ADD #count ${1}`,
      expr`attribute_not_exists(#count) OR #count < ${HOURLY[what]}`,
    )
    return 0
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    return Math.ceil(((hour + 1) * HOUR_MS - nowMs) / 1000)
  }
}

/** The item that counts within this hour. Removing it begins the count again. */
export function hourlyLimitKey(deps: Deps<'keyring'>, what: Limited, subject: string): Key {
  const mac = deps.keyring.mac('hourly-limit', what, subject).toString('base64url').slice(0, 22)
  return keys.limit(mac, Math.floor(deps.clock.nowMs() / HOUR_MS))
}

/**
 * Names the mailbox behind an address, for limits alone: many providers ignore dots and what follows a plus. The
 * forms with a plus have a limit of their own, so that nobody uses up the limit of the plain address with them.
 */
export function mailboxOf(address: string): string {
  const key = emailKey(address)
  const at = key.lastIndexOf('@')
  const [name = '', ...tags] = key.slice(0, at).replaceAll('.', '').split('+')
  const domain = key.slice(at + 1).replace(/^googlemail\.com$/, 'gmail.com')
  return `${name}${tags.length > 0 ? '+' : ''}@${domain}`
}
