import { timingSafeEqual } from 'node:crypto'
import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { CONFIRMATION_CODE_KEPT_MS, type Key, keys, RESET_CODE_KEPT_MS, ttlAt } from '../table/keys.ts'
import { type Item, ignoreRefusal } from '../table/table.ts'

/** What a mailed code permits. A code for one purpose is worthless for another. */
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
  /** MAC over the first request that used the code; the code is bound to that request. */
  usedBy: z.optional(z.string()),
})

/**
 * A code has 32 hex digits: 16 to look it up, and 16 of a MAC over the first half, the purpose and the account. The
 * table holds only the first half, so reading the table yields no working code. A wrong second half counts against
 * the account that the first half names.
 */
export function newCode(
  deps: Deps<'keyring'>,
  purpose: CodePurpose,
  accountId: string,
): { lookup: string; item: Item } {
  const lookup = deps.ids.hex(8)
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

/** The whole code, as it is mailed. */
export function codeText(
  deps: Deps<'keyring'>,
  purpose: CodePurpose,
  accountId: string,
  lookup: string,
): string {
  return lookup + deps.keyring.mac(`code:${purpose}`, lookup, accountId).toString('hex').slice(0, 16)
}

/** A code that is right. What it permits happens in a transaction that includes the condition `usable`. */
export interface CheckedCode {
  purpose: CodePurpose
  accountId: string
  lookup: string
  usedBy: string | undefined
  key: Key
  /** Holds while the code is not used, not burnt by wrong attempts and not expired. */
  usable: Expression
}

/**
 * Checks a typed code: one read, and a write if the code is wrong.
 * @throws DomainError `invalid_code`, the same for unknown, wrong, used, expired and burnt codes
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
  const { purpose, accountId, usedBy } = z.parse(codeSchema, item)
  const usable = expr`#triesLeft > ${0} AND #expiresAtMs > ${deps.clock.nowMs()}`
  if (!purposes.includes(purpose)) throw new DomainError('invalid_code')
  const right = codeText(deps, purpose, accountId, lookup)
  if (!timingSafeEqual(Buffer.from(right), Buffer.from(code.padEnd(32).slice(0, 32)))) {
    await deps.table.update(key, expr`SET #triesLeft = #triesLeft - ${1}`, usable).catch(ignoreRefusal)
    throw new DomainError('invalid_code')
  }
  return { purpose, accountId, lookup, usedBy, key, usable }
}
