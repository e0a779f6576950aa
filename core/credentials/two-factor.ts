import {
  type Account,
  type Profile,
  requireConfirmed,
  type SessionCaller,
  updateProfile,
} from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'
import { changeHolder } from './holder.ts'

/** The number of wrong codes in a row that lock two-factor codes, and how long the lock lasts. */
const TWO_FACTOR_ATTEMPTS = 5
const LOCK_MS = 15 * MINUTE_MS

const RECOVERY_CODES = 10

type TwoFactorDeps = Deps<'table' | 'secrets' | 'keyring' | 'totp'>

/** What a right code adds to the write that it permits, so that concurrent requests cannot both use it. */
export interface SecondFactor {
  set: Expression
  remove?: Expression
  condition: Expression
}

/**
 * Begins or restarts enrolment. The seed has no effect until a code confirms it.
 * @returns the seed in base32, the `otpauth://` URI, and the URI as a QR code in SVG.
 * @throws DomainError `email_unconfirmed`, `two_factor_enabled`, `conflict`
 */
export async function enrolTwoFactor(
  deps: TwoFactorDeps,
  account: Account,
): Promise<{ seed: string; uri: string; svg: string }> {
  requireConfirmed(account)
  if (account.totp) throw new DomainError('two_factor_enabled')
  const { seed, uri, svg } = deps.totp.enrol(account.email)
  const pending = await deps.secrets.encrypt(account.id, seed)
  await updateProfile(
    deps,
    account.id,
    expr`SET #totpPending = ${pending}`,
    expr`attribute_not_exists(#totp) AND #status = ${'active'}`,
    'conflict',
  )
  return { seed, uri, svg }
}

/**
 * Switches two-factor authentication on with a code of the enrolled seed. Every session but the caller's ends.
 * @returns ten recovery codes, which cannot be read again.
 * @throws DomainError `email_unconfirmed`, `two_factor_not_enrolled`, `two_factor_enabled`, `two_factor_invalid`,
 *   `two_factor_locked`, `conflict`
 */
export async function activateTwoFactor(
  deps: TwoFactorDeps,
  { account, sessionId }: SessionCaller,
  code: string,
): Promise<string[]> {
  requireConfirmed(account)
  if (account.totp) throw new DomainError('two_factor_enabled')
  if (account.totpPending === undefined) throw new DomainError('two_factor_not_enrolled')
  await countAttempt(deps, account)
  const seed = await deps.secrets.decrypt(account.id, account.totpPending)
  const step = deps.totp.stepOf(seed, code, deps.clock.nowMs())
  if (step === undefined) throw new DomainError('two_factor_invalid')
  const codes = Array.from({ length: RECOVERY_CODES }, () => newRecoveryCode(deps))
  const recovery = Object.fromEntries(codes.map((each) => [recoveryMac(deps, account.id, each), true]))
  const totp = { seed: account.totpPending, lastStep: step, recovery }
  const { set, remove } = changeHolder(account, { sessionId })
  await updateProfile(
    deps,
    account.id,
    setRemove([...set, expr`#totp = ${totp}, #twofaTries = ${0}`], remove),
    expr`#totpPending = ${account.totpPending}`,
    'conflict',
  )
  return codes
}

/**
 * Switches two-factor authentication off and deletes the seed and the recovery codes. Every session but the
 * caller's ends.
 * @throws DomainError `two_factor_not_enrolled`, `conflict`, and as `checkSecondFactor`
 */
export async function removeTwoFactor(
  deps: TwoFactorDeps,
  { account, sessionId }: SessionCaller,
  code: string,
): Promise<void> {
  if (!account.totp) throw new DomainError('two_factor_not_enrolled')
  const { condition } = await checkSecondFactor(deps, account, code)
  const { set, remove } = changeHolder(account, { sessionId })
  const change = setRemove([...set, expr`#twofaTries = ${0}`], [...remove, expr`#totp`])
  await updateProfile(deps, account.id, change, condition, 'conflict')
}

/**
 * Checks a code of the authenticator app or a recovery code. The try is counted before the code is checked,
 * so that concurrent guesses are counted one by one.
 * @throws DomainError `two_factor_required`, `two_factor_invalid`, `two_factor_locked`
 * @throws Error if the account has no second factor
 */
export async function checkSecondFactor(
  deps: TwoFactorDeps,
  account: Profile,
  typed: string | undefined,
): Promise<SecondFactor> {
  const { totp } = account
  if (!totp) throw new Error('the account has no second factor')
  if (typed === undefined) throw new DomainError('two_factor_required')
  await countAttempt(deps, account)
  const set = expr`#twofaTries = ${0}`
  if (!/^\d{6}$/.test(typed)) {
    const mac = recoveryMac(deps, account.id, typed)
    if (!Object.hasOwn(totp.recovery, mac)) throw new DomainError('two_factor_invalid')
    const code = expr`#totp.#recovery.${attr(mac)}`
    return { set, remove: code, condition: expr`attribute_exists(#totp.#recovery.${attr(mac)})` }
  }
  const seed = await deps.secrets.decrypt(account.id, totp.seed)
  const step = deps.totp.stepOf(seed, typed, deps.clock.nowMs())
  if (step === undefined || step <= totp.lastStep) throw new DomainError('two_factor_invalid')
  return {
    set: expr`#twofaTries = ${0}, #totp.#lastStep = ${step}`,
    condition: expr`#totp.#lastStep < ${step} AND #totp.#seed = ${totp.seed}`,
  }
}

/** The profile's update with what the factor adds. `remove` are further paths to remove. */
export function withFactor(
  set: Expression,
  factor: SecondFactor | undefined,
  remove: Expression[] = [],
): Expression {
  const sets = factor ? join([set, factor.set], ', ') : set
  const removes = factor?.remove ? [...remove, factor.remove] : remove
  return removes.length > 0 ? join([sets, join(removes, ', ')], ' REMOVE ') : sets
}

export const guardedBy = (condition: Expression, factor: SecondFactor | undefined): Expression =>
  factor ? join([condition, factor.condition], ' AND ') : condition

/** @throws DomainError `two_factor_locked` with the seconds until another try is allowed */
async function countAttempt(deps: Deps<'table'>, account: Profile): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const key = keys.profile(account.id)
  const count = (tries: Expression, condition: Expression) =>
    deps.table.update(key, join([expr`SET #twofaTriedAtMs = ${nowMs}, #twofaTries = `, tries], ''), condition)
  try {
    // Old tries no longer count. One of several concurrent requests restarts the count; the others add to it.
    if (nowMs - account.twofaTriedAtMs >= LOCK_MS) {
      const lapsed = expr`#twofaTriedAtMs <= ${nowMs - LOCK_MS}`
      if (await count(expr`${1}`, lapsed).then(() => true, ignoreRefusal)) return
    }
    await count(expr`#twofaTries + ${1}`, expr`#twofaTries < ${TWO_FACTOR_ATTEMPTS}`)
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const lockedForMs = Math.max(1000, account.twofaTriedAtMs + LOCK_MS - nowMs)
    throw new DomainError('two_factor_locked', { retryAfterSeconds: Math.ceil(lockedForMs / 1000) })
  }
}

/** Crockford's base32, which leaves out letters that are easily confused. A recovery code has 50 bits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

function newRecoveryCode(deps: Deps): string {
  const bytes = Buffer.from(deps.ids.hex(10), 'hex')
  const letters = [...bytes].map((byte) => ALPHABET[byte % 32]).join('')
  return `${letters.slice(0, 5)}-${letters.slice(5)}`
}

const recoveryMac = (deps: Deps<'keyring'>, accountId: string, code: string): string =>
  deps.keyring
    .mac('recovery-code', accountId, code.toLowerCase().replace('-', ''))
    .toString('base64url')
    .slice(0, 22)
