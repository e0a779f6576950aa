import type { Profile } from '../account/account.ts'
import { tellOwner } from '../notifications/security.ts'
import type { Deps } from '../ports.ts'
import { recoveryKey } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'

/** For this long every holder of a factor can stop a recovery before it can be finished. */
const RECOVERY_WAIT_MS = 72 * HOUR_MS

/** A recovery that nobody finishes ends after this time, so that none waits for whoever reads the mailbox later. */
const RECOVERY_MS = 7 * DAY_MS

/** A recovery that has not ended, or another change that waits as long as one. */
export interface OpenRecovery {
  /** Epoch ms; also names the recovery. */
  beganAtMs: number
  /** From when on it can be finished, and when it ends unfinished, epoch ms. */
  finishesAtMs: number
  endsAtMs: number
  isReady: boolean
  /** Set if an operator has begun it: then a job finishes it. */
  by: 'operator' | undefined
}

/** The account's recovery; undefined if there is none, or if it has ended by itself. */
export function openRecovery(
  { recovery }: Pick<Profile, 'recovery'>,
  nowMs: number,
): OpenRecovery | undefined {
  if (!recovery) return undefined
  const { beganAtMs, by } = recovery
  const [finishesAtMs, endsAtMs] = [beganAtMs + RECOVERY_WAIT_MS, beganAtMs + RECOVERY_MS]
  if (nowMs >= endsAtMs) return undefined
  return { beganAtMs, finishesAtMs, endsAtMs, isReady: nowMs >= finishesAtMs, by }
}

/** The change of the account's address that an operator has begun; undefined as for `openRecovery`. */
export const openAddressMove = (
  { addressMove }: Pick<Profile, 'addressMove'>,
  nowMs: number,
): OpenRecovery | undefined =>
  openRecovery({ recovery: addressMove && { beganAtMs: addressMove.beganAtMs, by: 'operator' } }, nowMs)

/** What the owner is told of a recovery that ends unfinished, by who has begun it. */
export const stoppedEvent = (by: OpenRecovery['by']) => (by ? 'factors-kept' : 'recovery-stopped')

/**
 * What a write that stops the account's recovery, if there is one, contains besides the profile's update: its
 * reminder ends, and the owner is told. If a write leaves this out, the next reminder tells.
 */
export const recoveryStopped = (deps: Deps, account: Profile): Write[] =>
  account.recovery
    ? [{ remove: recoveryKey(account.id) }, ...tellOwner(deps, account, stoppedEvent(account.recovery.by))]
    : []
