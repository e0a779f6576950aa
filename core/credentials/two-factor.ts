import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Account, type Profile, readAccount, type SessionCaller } from '../account/account.ts'
import { changeSession } from '../account/change.ts'
import { auditWrites } from '../audit/entry.ts'
import { DomainError, type ErrorCode } from '../errors.ts'
import { timeText } from '../notifications/recovery-texts.ts'
import { tellOwner } from '../notifications/security.ts'
import type { Deps } from '../ports.ts'
import { macTexts } from '../rotation.ts'
import { attr, type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys, recoveryKey } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { HOUR_MS, MINUTE_MS, REPEAT_MS } from '../time.ts'
import { changeHolder } from './holder.ts'
import { openRecovery, recoveryStopped } from './recovery-state.ts'
import { secondFactorCode } from './typed-codes.ts'

/** The number of wrong codes in a row that lock two-factor codes, and how long the lock lasts. */
const TWO_FACTOR_ATTEMPTS = 5
const LOCK_MS = 15 * MINUTE_MS

const RECOVERY_CODES = 10

/** The time step of codes (RFC 6238). */
const STEP_MS = 30_000

type TwoFactorDeps = Deps<'table' | 'secrets' | 'keyring' | 'totp'>

/** What a right code adds to the write that it permits, so that concurrent requests cannot both use it. */
export interface SecondFactor {
  set: Expression
  remove?: Expression
  condition: Expression
  /**
   * Writes on other items, for the same transaction: what tells the owner of a recovery code that is used up, or
   * that a challenge is answered.
   */
  writes: Write[]
}

/** A second factor that is no code: an answer that it checks itself. */
export interface AnsweredFactor {
  /** Stands for the answer where a request is compared with an earlier one. */
  text: string
  check(account: Profile): Promise<SecondFactor>
}

/** A second factor as a request brings it: a typed code, or something else that proves as much. */
export type GivenFactor = string | AnsweredFactor | undefined

/** The text by which a repeat of a request is recognised. */
export const factorText = (given: GivenFactor): string =>
  typeof given === 'object' ? given.text : (given ?? '')

/** For so long an enrolment that is begun again shows the same seed, so that a QR code on a screen stays good. */
const SAME_SEED_MS = HOUR_MS

/**
 * Begins enrolment, or shows the one again that this session has begun. The seed has no effect until a code confirms
 * it. Each session has a seed of its own: a stranger in another session must not know the seed that the owner confirms.
 * @returns the seed in base32, the `otpauth://` URI, and the URI as a QR code in SVG.
 * @throws DomainError `two_factor_enabled`, `conflict`
 */
export async function enrolTwoFactor(
  deps: TwoFactorDeps,
  caller: SessionCaller,
): Promise<{ seed: string; uri: string; svg: string }> {
  const nowMs = deps.clock.nowMs()
  return changeSession(deps, caller, async ({ account, sessionId }) => {
    if (account.totp) throw new DomainError('two_factor_enabled')
    const begun = account.totpPending?.[sessionId]
    if (begun && nowMs - begun.atMs < SAME_SEED_MS)
      return deps.totp.enrol(account.email, await deps.secrets.decrypt(account.id, begun.seed))
    const enrolment = deps.totp.enrol(account.email)
    const seed = await deps.secrets.encrypt(account.id, enrolment.seed)
    const others = Object.entries(account.totpPending ?? {}).filter(([id]) =>
      Object.hasOwn(account.sessions, id),
    )
    const pending = { ...Object.fromEntries(others), [sessionId]: { seed, atMs: nowMs } }
    const unchanged = unchangedSince(account, ['totpPending', 'totp'])
    await deps.table.update(
      keys.profile(account.id),
      expr`SET #totpPending = ${pending}`,
      join(
        [unchanged, expr`#status = ${'active'} AND attribute_exists(#sessions.${attr(sessionId)})`],
        ' AND ',
      ),
    )
    return enrolment
  })
}

/**
 * Switches two-factor authentication on with a code of the enrolled seed. Every session but the caller's ends. For
 * an hour, while no other code was used, a repeat gets the same recovery codes.
 * @returns ten recovery codes, which cannot be read again later.
 * @throws DomainError `two_factor_not_enrolled`, `two_factor_enabled`, `two_factor_invalid`,
 *   `two_factor_locked`, `conflict`
 */
export async function activateTwoFactor(
  deps: TwoFactorDeps,
  caller: SessionCaller,
  code: string,
): Promise<string[]> {
  return changeSession(deps, caller, async ({ account, sessionId }) => {
    if (account.totp) return repeatActivation(deps, account, account.totp, code)
    const { totpPending } = account
    if (totpPending === undefined) throw new DomainError('two_factor_not_enrolled')
    const check = () => findSeed(deps, account, totpPending, code)
    return countingTry(deps, account, check, async ({ begunBy, sealed, seed, step }) => {
      const codes = recoveryCodesOf(account.id, seed)
      const recovery = Object.fromEntries(codes.map((_, nth) => [nth, true]))
      const totp = { seed: sealed, lastStep: step, recovery }
      const { set, remove, unchanged } = changeHolder(account, { sessionId })
      const on = expr`#totp = ${totp}, #twofaTries = ${0}`
      await deps.table.transact([
        {
          update: keys.profile(account.id),
          set: setRemove([...set, on], [...remove, expr`#twofaOffBy`]),
          if: join([expr`#totpPending.${attr(begunBy)}.#seed = ${sealed}`, ...unchanged], ' AND '),
        },
        ...tellOwner(deps, account, 'two-factor-on'),
      ])
      return codes
    })
  })
}

/**
 * The seed that a code belongs to. Whoever has scanned a QR code may have signed in again since, so the seeds of all
 * sessions count. A stranger's seed does no harm here, because only the stranger's app shows its codes.
 * @returns undefined for a wrong code.
 */
async function findSeed(
  deps: TwoFactorDeps,
  account: Account,
  pending: NonNullable<Profile['totpPending']>,
  code: string,
) {
  const newestFirst = Object.entries(pending).sort(([, a], [, b]) => b.atMs - a.atMs)
  for (const [begunBy, { seed: sealed }] of newestFirst) {
    const seed = await deps.secrets.decrypt(account.id, sealed)
    const step = deps.totp.stepOf(seed, code, deps.clock.nowMs())
    if (step !== undefined) return { begunBy, sealed, seed, step }
  }
  return undefined
}

/**
 * The recovery codes again, for the code that has switched two-factor authentication on, within an hour.
 * @throws DomainError `two_factor_enabled` for every other request, `two_factor_locked`
 */
async function repeatActivation(
  deps: TwoFactorDeps,
  account: Account,
  { seed: sealed, lastStep, recovery }: NonNullable<Profile['totp']>,
  code: string,
): Promise<string[]> {
  const nowMs = deps.clock.nowMs()
  const usedAtMs = lastStep * STEP_MS
  const mayBeRepeat = Object.keys(recovery).length === RECOVERY_CODES && nowMs - usedAtMs < REPEAT_MS
  if (!mayBeRepeat) throw new DomainError('two_factor_enabled')
  const check = async () => {
    const seed = await deps.secrets.decrypt(account.id, sealed)
    // A code that the app shows now is no repeat, and no guess.
    const step = deps.totp.stepOf(seed, code, usedAtMs) ?? deps.totp.stepOf(seed, code, nowMs)
    return step === undefined ? undefined : { seed, isSame: step === lastStep }
  }
  const show = async ({ seed, isSame }: { seed: string; isSame: boolean }) => {
    if (!isSame) throw new DomainError('two_factor_enabled')
    await deps.table.update(
      keys.profile(account.id),
      expr`SET #twofaTries = ${0}`,
      expr`#totp.#lastStep = ${lastStep} AND #totp.#seed = ${sealed}`,
    )
    return recoveryCodesOf(account.id, seed)
  }
  // A guess counts as a try, as everywhere.
  return countingTry(deps, account, check, show, 'two_factor_enabled')
}

/**
 * Switches two-factor authentication off and deletes the seed and the recovery codes. Every session but the
 * caller's ends. A repeat with the same code is no error.
 * @throws DomainError `two_factor_not_enrolled`, `conflict`, and as `withSecondFactor`
 */
export async function removeTwoFactor(
  deps: TwoFactorDeps,
  caller: SessionCaller,
  code: string | AnsweredFactor,
): Promise<void> {
  const text = factorText(code)
  const macs = macTexts(deps, 'mac:two-factor-off', caller.account.id, text)
  const isOffByThis = ({ totp, twofaOffBy }: Account) =>
    !totp && twofaOffBy !== undefined && macs.includes(twofaOffBy)
  await changeSession(deps, caller, async ({ account, sessionId }) => {
    if (isOffByThis(account)) return
    if (!account.totp) throw new DomainError('two_factor_not_enrolled')
    await withSecondFactor(deps, account, code, async (factor) => {
      const { set, remove, unchanged } = changeHolder(account, { sessionId })
      // A code goes with the seed, so nothing of it is stored; a passkey stays.
      const used = typeof code === 'object' ? [factor.set] : []
      const off = expr`#twofaTries = ${0}, #twofaOffBy = ${macs[0]}`
      try {
        await deps.table.transact([
          {
            update: keys.profile(account.id),
            set: setRemove([...set, ...used, off], [...remove, expr`#totp`]),
            if: join([factor.condition, ...unchanged], ' AND '),
          },
          ...factor.writes,
          ...tellOwner(deps, account, 'two-factor-off'),
          ...recoveryStopped(deps, account),
        ])
      } catch (error) {
        if (!isOtherwiseUsed(error, factor)) throw error
        // A concurrent copy of this request may have been first.
        const now = await readAccount(deps, account.id)
        if (!now || !isOffByThis(now)) throw new DomainError('passkey_refused')
      }
    })
  })
}

/** Whether signing in with the password needs a second factor, so that its owner can be locked out by its loss. */
export const hasSecondFactor = ({ totp }: Profile): boolean => totp !== undefined

/** What to remove so that nothing but the password signs in: lost factors may be in the hands of somebody else. */
export const secondFactorsOff = (): Expression[] => [expr`#totp`, expr`#passkeys`]

/**
 * The writes that switch every second factor of an account off for its owner, who has lost them: every session ends,
 * and the owner is told. A recovery that was open has ended with them, and its link stops nothing any more.
 * @param more.unchanged further conditions on the profile
 */
export function switchFactorsOff(
  deps: Deps,
  account: Profile,
  more: { unchanged?: Expression[] } = {},
): Write[] {
  // An operator's change of the address was begun for the same owner.
  const { set, remove } = changeHolder(account, { addressMove: true })
  const { recovery } = account
  return [
    {
      update: keys.profile(account.id),
      set: setRemove(
        [
          ...set,
          expr`#twofaTries = ${0}, #updatedAtMs = ${deps.clock.nowMs()}`,
          ...(recovery ? [expr`#recoveredFrom = ${recovery.beganAtMs}`] : []),
        ],
        [...remove, ...secondFactorsOff(), expr`#recovery, #recoveryCode`],
      ),
      if: join(
        [unchangedSince(account, ['generation', 'totp', 'recovery']), ...(more.unchanged ?? [])],
        ' AND ',
      ),
    },
    { remove: recoveryKey(account.id) },
    ...tellOwner(deps, account, 'factors-off'),
  ]
}

/**
 * Checks a code of the authenticator app, a recovery code, or what else was given in its place, and does the `work`
 * that a right one permits. It is used up by the write of `work` alone: if the request is refused, it may be sent again.
 * @throws DomainError `two_factor_required`, `two_factor_invalid`, `two_factor_locked`, `passkey_refused`, and as
 *   `work` does
 * @throws Error if the account has no second factor
 */
export async function withSecondFactor<T>(
  deps: TwoFactorDeps,
  account: Profile,
  given: GivenFactor,
  work: (factor: SecondFactor) => Promise<T>,
): Promise<T> {
  if (typeof given === 'object') return work(await given.check(account))
  if (!account.totp) throw new Error('the account has no second factor')
  if (given === undefined) throw factorRequired(deps, account)
  return countingTry(deps, account, () => checkCodeOf(deps, account, given), work)
}

/** Whoever signs in while the account is being recovered learns that, and how to stop it. */
function factorRequired(deps: Deps, account: Profile): DomainError {
  const open = openRecovery(account, deps.clock.nowMs())
  return new DomainError('two_factor_required', {
    detail:
      open &&
      `Send \`twofa\`: a code of the authenticator app, or a recovery code. ${open.by ? `Our support team was asked to switch two-factor authentication off, and will do so on ${timeText(open.finishesAtMs)}` : `Someone who can read your mail is recovering this account without a code, and can finish from ${timeText(open.finishesAtMs)} on`}: signing in with a code stops that.`,
  })
}

/**
 * @returns undefined for a wrong code.
 * @throws DomainError `two_factor_invalid` for a right code of the app that is no longer valid, because it or a
 *   later one was used
 */
async function checkCodeOf(
  deps: TwoFactorDeps,
  account: Profile,
  typed: string,
): Promise<SecondFactor | undefined> {
  const { id, totp } = account
  if (!totp) return undefined
  const set = expr`#twofaTries = ${0}`
  const seed = await deps.secrets.decrypt(id, totp.seed)
  if (!/^\d{6}$/.test(typed)) {
    const nth = recoveryCodesOf(id, seed).findIndex((each) => isSameCode(each, typed))
    if (!Object.hasOwn(totp.recovery, nth)) return undefined
    const code = expr`#totp.#recovery.${attr(String(nth))}`
    return {
      set,
      remove: code,
      condition: expr`attribute_exists(#totp.#recovery.${attr(String(nth))}) AND #totp.#seed = ${totp.seed}`,
      writes: tellOwner(deps, account, 'recovery-code-used'),
    }
  }
  const step = deps.totp.stepOf(seed, typed, deps.clock.nowMs())
  if (step === undefined) return undefined
  if (step <= totp.lastStep) throw new DomainError('two_factor_invalid')
  return {
    set: expr`#twofaTries = ${0}, #totp.#lastStep = ${step}`,
    condition: expr`#totp.#lastStep < ${step} AND #totp.#seed = ${totp.seed}`,
    writes: [],
  }
}

/**
 * Whether a transaction failed only because an earlier request has used the answer of the factor, so that another
 * try would fail alike.
 * @param ownWrites number of the writes before the factor's own.
 */
export const isOtherwiseUsed = (error: unknown, factor: SecondFactor | undefined, ownWrites = 1): boolean =>
  factor !== undefined &&
  error instanceof ConditionFailed &&
  [...error.failed.keys()].every((at) => at >= ownWrites)

/**
 * The profile's update with what the factor adds, for a write without `changeHolder`. Whoever has a factor is not
 * locked out, so a recovery stops. `remove` are further paths to remove.
 */
export function withFactor(
  set: Expression,
  factor: SecondFactor | undefined,
  remove: Expression[] = [],
): Expression {
  const sets = factor ? join([set, factor.set], ', ') : set
  const used = factor?.remove ? [factor.remove] : []
  const removes = factor ? [...remove, ...used, expr`#recovery, #recoveryCode`] : remove
  return removes.length > 0 ? join([sets, join(removes, ', ')], ' REMOVE ') : sets
}

export const guardedBy = (condition: Expression, factor: SecondFactor | undefined): Expression =>
  factor ? join([condition, factor.condition], ' AND ') : condition

/**
 * Counts a try, checks the code, and does the `work` that a right code permits. The try is counted before the check,
 * so that concurrent guesses are counted one by one. Only a wrong code stays counted: whatever else refuses the
 * request, a right code and one that could not be checked give their try back.
 * @param check returns undefined for a wrong code.
 * @throws DomainError `two_factor_locked`, `refusal` for a wrong code, and as `check` and `work` do
 */
async function countingTry<C, T>(
  deps: Deps<'table'>,
  account: Profile,
  check: () => Promise<C | undefined>,
  work: (right: C) => Promise<T>,
  refusal: ErrorCode = 'two_factor_invalid',
): Promise<T> {
  await countAttempt(deps, account)
  let isWrong = false
  try {
    const right = await check()
    isWrong = right === undefined
    if (right === undefined) {
      await writeAll(deps, auditWrites(deps, { accountId: account.id, action: 'account.wrong-code' }))
      throw new DomainError(refusal)
    }
    return await work(right)
  } catch (error) {
    if (!isWrong) await giveTryBack(deps, account)
    throw error
  }
}

/**
 * Gives a counted try back, unless the count began anew since: a request that has used a code, or switched two
 * factors on or off, has set it to 0. After an outage the try stays counted, for 15 minutes at most.
 */
async function giveTryBack(deps: Deps<'table'>, account: Profile): Promise<void> {
  const same = join([expr`#twofaTries > ${0}`, unchangedSince(account, ['totp', 'totpPending'])], ' AND ')
  await deps.table
    .update(keys.profile(account.id), expr`SET #twofaTries = #twofaTries - ${1}`, same)
    .catch((error: unknown) => {
      if (error instanceof ConditionFailed) return
      deps.log.warn('a try with a right two-factor code stays counted as a wrong one', error, {
        accountId: account.id,
      })
    })
}

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

/**
 * The recovery codes of a seed. They follow from it, so nothing of them is stored but which are left: they stay good
 * whatever becomes of the root secret, and a repeat of the activation can show them again.
 */
const recoveryCodesOf = (accountId: string, seed: string): string[] =>
  Array.from({ length: RECOVERY_CODES }, (_, nth) => {
    const bytes = createHmac('sha256', seed).update(`bursar:recovery-code:${accountId}:${nth}`).digest()
    const letters = [...bytes.subarray(0, 10)].map((byte) => ALPHABET[byte % 32]).join('')
    return `${letters.slice(0, 5)}-${letters.slice(5)}`
  })

function isSameCode(code: string, typed: string): boolean {
  const [a, b] = [code, typed].map((each) => Buffer.from(secondFactorCode(each)))
  return a !== undefined && b?.length === a.length && timingSafeEqual(a, b)
}
