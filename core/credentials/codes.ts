import { timingSafeEqual } from 'node:crypto'
import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { CONFIRMATION_CODE_KEPT_MS, type Key, keys, RESET_CODE_KEPT_MS, ttlAt } from '../table/keys.ts'
import { type Item, ignoreRefusal } from '../table/table.ts'
import { MINUTE_MS, REPEAT_MS } from '../time.ts'

/** What a mailed code is for. A code made for one purpose does not work for another. */
export type CodePurpose = 'confirm-email' | 'change-email' | 'reset-password'

const LIFETIME_MS: Record<CodePurpose, number> = {
  'confirm-email': CONFIRMATION_CODE_KEPT_MS,
  'change-email': CONFIRMATION_CODE_KEPT_MS,
  'reset-password': RESET_CODE_KEPT_MS,
}

const CODE_ATTEMPTS = 5

const codeSchema = z.object({
  purpose: z.enum(['confirm-email', 'change-email', 'reset-password']),
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
 * @param lookup of a code that is made again, to live as long as a new one.
 */
export function newCode(
  deps: Deps<'keyring'>,
  purpose: CodePurpose,
  accountId: string,
  lookup: string = deps.ids.hex(8),
): { lookup: string; item: Item } {
  const expiresAtMs = deps.clock.nowMs() + LIFETIME_MS[purpose]
  return {
    lookup,
    item: {
      ...keys.code(lookup),
      purpose,
      accountId,
      expiresAtMs,
      triesLeft: CODE_ATTEMPTS,
      ...ttlAt(expiresAtMs),
    },
  }
}

/**
 * For so long after a code was mailed, the next mail to the same address has the same code. So the first mail works
 * when it arrives, also if its reader has asked again meanwhile.
 */
export const SAME_CODE_MS = 5 * MINUTE_MS

/**
 * The code that an account has, made again for another mail, or a new one. One read if the account has a code.
 * @param lookup of the account's code.
 * @returns the code with a condition for the write that puts it: nobody has used it or guessed at it meanwhile.
 */
export async function codeToMail(
  deps: Deps<'table' | 'keyring'>,
  purpose: CodePurpose,
  accountId: string,
  lookup: string | undefined,
): Promise<{ lookup: string; item: Item; unchanged?: Expression }> {
  const item = lookup === undefined ? undefined : await deps.table.get(keys.code(lookup))
  const nowMs = deps.clock.nowMs()
  const code = item && z.parse(codeSchema, item)
  const isFresh = code && code.expiresAtMs - LIFETIME_MS[purpose] > nowMs - SAME_CODE_MS
  if (!isFresh || code.usedBy !== undefined || code.done || code.triesLeft < 1)
    return newCode(deps, purpose, accountId)
  return {
    ...newCode(deps, purpose, accountId, lookup),
    unchanged: expr`#triesLeft = ${code.triesLeft} AND attribute_not_exists(#usedBy) AND attribute_not_exists(#done)`,
  }
}

/** The whole code, as it is mailed. */
export function codeText(
  deps: Deps<'keyring'>,
  purpose: CodePurpose,
  accountId: string,
  lookup: string,
): string {
  return lookup + deps.keyring.mac(`code:${purpose}`, lookup, accountId).toString('hex').slice(0, 16)
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
  /** Assignments for the first use: the request may be sent again for an hour, however old the code is. */
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
  const code = typed.toLowerCase()
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
  const expected = codeText(deps, purpose, accountId, lookup)
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(code.padEnd(32).slice(0, 32)))) {
    await deps.table.update(key, expr`SET #triesLeft = #triesLeft - ${1}`, usable).catch(ignoreRefusal)
    throw new DomainError('invalid_code')
  }
  const isDone = done === true && triesLeft > 0 && Math.max(expiresAtMs, repeatUntilMs) > nowMs
  const { ttl } = ttlAt(Math.max(expiresAtMs, nowMs + REPEAT_MS))
  const keepForRepeats = expr`#repeatUntilMs = ${nowMs + REPEAT_MS}, #ttl = ${ttl}`
  return { purpose, accountId, lookup, usedBy, isDone, key, keepForRepeats, usable }
}
