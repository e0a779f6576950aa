import { timingSafeEqual } from 'node:crypto'
import * as z from 'zod/mini'
import type { Profile } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import {
  CONFIRMATION_CODE_KEPT_MS,
  EXPIRED_CODE_KEPT_MS,
  INVITATION_CODE_KEPT_MS,
  type Key,
  keys,
  RESET_CODE_KEPT_MS,
  ttlAt,
} from '../table/keys.ts'
import { ConditionFailed, type Item, ignoreRefusal } from '../table/table.ts'
import { HOUR_MS, MINUTE_MS, REPEAT_MS } from '../time.ts'
import { mailedCode } from './typed-codes.ts'

/** What a mailed code is for. A code made for one purpose does not work for another. */
export const codePurposes = [
  'confirm-email',
  'change-email',
  'reset-password',
  'invitation',
  'begin-recovery',
  'finish-recovery',
] as const

export type CodePurpose = (typeof codePurposes)[number]

const LIFETIME_MS: Record<CodePurpose, number> = {
  'confirm-email': CONFIRMATION_CODE_KEPT_MS,
  'change-email': CONFIRMATION_CODE_KEPT_MS,
  'reset-password': RESET_CODE_KEPT_MS,
  invitation: INVITATION_CODE_KEPT_MS,
  'begin-recovery': RESET_CODE_KEPT_MS,
  'finish-recovery': RESET_CODE_KEPT_MS,
}

const CODE_ATTEMPTS = 5

const codeSchema = z.object({
  purpose: z.enum(codePurposes),
  accountId: z.string(),
  expiresAtMs: z.number(),
  triesLeft: z.number(),
  /** MAC over the first request that used the code. From then on the code works for this request only. */
  usedBy: z.optional(z.string()),
  /** The change that the code permits is made. The code is kept for a time, to recognise repeats. */
  done: z.optional(z.literal(true)),
  /** Until when the request that used the code is recognised, epoch ms, also if the code has expired by then. */
  repeatUntilMs: z.optional(z.number()),
})

/**
 * Makes a code of 32 hex digits: a look-up half, and a MAC over this half, the purpose and the account. The
 * table stores the look-up half only, so that reading the table yields no working code. A wrong second half
 * uses up one try of the code that the first half names.
 * @param lookup of a code that is mailed again, to live as long as a new one.
 */
export function newCode(
  deps: Deps,
  purpose: CodePurpose,
  accountId: string,
  lookup: string = deps.ids.hex(8),
): { lookup: string; item: Item } {
  const nowMs = deps.clock.nowMs()
  const expiresAtMs = nowMs + LIFETIME_MS[purpose]
  return {
    lookup,
    item: {
      ...keys.code(lookup),
      purpose,
      accountId,
      expiresAtMs,
      triesLeft: CODE_ATTEMPTS,
      madeAtMs: nowMs,
      ...ttlAt(expiresAtMs + EXPIRED_CODE_KEPT_MS),
    },
  }
}

/**
 * Makes a code that was mailed before valid for its whole lifetime again, unless it was used. One write.
 * @param onlyValid leaves an expired code alone, and one that is older than its lifetime and an hour.
 * @returns `spent` for a code that was used, or that no try is left of; `left` for one that was left alone.
 */
export async function renewCode(
  deps: Deps<'table'>,
  purpose: CodePurpose,
  lookup: string,
  onlyValid: boolean,
): Promise<'renewed' | 'spent' | 'left'> {
  const nowMs = deps.clock.nowMs()
  const lifetimeMs = LIFETIME_MS[purpose]
  const expiresAtMs = nowMs + lifetimeMs
  const { ttl } = ttlAt(expiresAtMs + EXPIRED_CODE_KEPT_MS)
  const unspent = expr`#purpose = ${purpose} AND #triesLeft > ${0} AND attribute_not_exists(#done) AND attribute_not_exists(#usedBy)`
  const young = expr`#expiresAtMs > ${nowMs} AND #madeAtMs > ${nowMs - Math.max(lifetimeMs, HOUR_MS)}`
  try {
    await deps.table.update(
      keys.code(lookup),
      expr`SET #expiresAtMs = ${expiresAtMs}, #ttl = ${ttl}`,
      onlyValid ? join([unspent, young], ' AND ') : unspent,
    )
    return 'renewed'
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const item = error.failed.get(0)
    const isSpent = !item || Number(item.triesLeft) <= 0 || Boolean(item.done) || item.usedBy !== undefined
    return isSpent ? 'spent' : 'left'
  }
}

/** For so long after a change of address was requested, its repeat mails the same code. */
export const SAME_CODE_MS = 5 * MINUTE_MS

/** The whole code, as it is mailed. */
export function codeText(
  deps: Deps<'keyring'>,
  purpose: CodePurpose,
  accountId: string,
  lookup: string,
): string {
  return lookup + codeDigits(deps.keyring.mac('mac:code', purpose, lookup, accountId))
}

const codeDigits = (mac: Buffer): string => mac.toString('hex').slice(0, 16)

/** The profile's attribute for the valid code of each purpose. */
export const CODE_IN_PROFILE = {
  'confirm-email': 'confirmCode',
  'change-email': 'changeCode',
  'reset-password': 'resetCode',
  // Sets a password as a reset does, so that either replaces the other.
  invitation: 'resetCode',
  'begin-recovery': 'recoveryCode',
  'finish-recovery': 'recoveryCode',
} as const satisfies Record<CodePurpose, keyof Profile>

/**
 * Whether a code that is about to be mailed still does something: it is the account's newest for its purpose, and
 * neither used, nor used up by wrong guesses, nor expired. One read, or none for a code that was superseded.
 */
export async function isCodeAlive(
  deps: Deps<'table'>,
  account: Profile,
  purpose: CodePurpose,
  lookup: string,
): Promise<boolean> {
  if (account[CODE_IN_PROFILE[purpose]] !== lookup) return false
  const item = await deps.table.get(keys.code(lookup))
  if (!item) return false
  const { usedBy, done, expiresAtMs, triesLeft } = z.parse(codeSchema, item)
  const isUnused = usedBy === undefined && done === undefined
  return isUnused && triesLeft > 0 && expiresAtMs > deps.clock.nowMs()
}

/** A code that was typed correctly. The change that it permits is written under the condition `usable`. */
export interface CheckedCode {
  purpose: CodePurpose
  accountId: string
  lookup: string
  usedBy: string | undefined
  /** The change that the code permits is made, and its repeat is still recognised. */
  isDone: boolean
  key: Key
  /** Assignment for the first use: the request may be sent again for an hour, however old the code is. */
  keepForRepeats: Expression
  /** Condition on the code's item: it exists, has tries left and has not expired. */
  usable: Expression
}

/**
 * Checks a typed code with one read, and one write if the code is wrong. Expiry and the tries left are
 * checked by the condition `usable`, when the change that the code permits is written.
 * @throws DomainError `invalid_code` for a code that is unknown, used, wrong or for another purpose, all
 *   alike
 */
export async function checkCode(
  deps: Deps<'table' | 'keyring'>,
  purposes: readonly CodePurpose[],
  typed: string,
): Promise<CheckedCode> {
  const code = mailedCode(typed)
  const lookup = code.slice(0, 16)
  const key = keys.code(lookup)
  const item = await deps.table.get(key)
  if (!item) throw new DomainError('invalid_code')
  const {
    purpose,
    accountId,
    usedBy,
    done,
    expiresAtMs,
    triesLeft,
    repeatUntilMs = 0,
  } = z.parse(codeSchema, item)
  const nowMs = deps.clock.nowMs()
  const usable = expr`#triesLeft > ${0} AND #expiresAtMs > ${nowMs}`
  if (!purposes.includes(purpose)) throw new DomainError('invalid_code')
  const typedDigits = Buffer.from(code.slice(16).padEnd(16).slice(0, 16))
  const macs = deps.keyring.macs('mac:code', purpose, lookup, accountId)
  if (!macs.some((mac) => timingSafeEqual(Buffer.from(codeDigits(mac)), typedDigits))) {
    await deps.table.update(key, expr`SET #triesLeft = #triesLeft - ${1}`, usable).catch(ignoreRefusal)
    throw new DomainError('invalid_code')
  }
  const isDone = done === true && triesLeft > 0 && Math.max(expiresAtMs, repeatUntilMs) > nowMs
  const keepForRepeats = expr`#repeatUntilMs = ${nowMs + REPEAT_MS}`
  return { purpose, accountId, lookup, usedBy, isDone, key, keepForRepeats, usable }
}
