import { DomainError } from '../errors.ts'
import { readAllowance } from './allowance.ts'
import { type Use, useOf } from './consume.ts'
import { forKey, type KeyOrAccount, type QuotaDeps, type Spender } from './key-caller.ts'
import { epochMsAt, requestIdOf } from './request-id.ts'
import { LEASE, newNonces, nonceIn, reservationIdOf } from './reservation.ts'
import { endReservation, totalUnits } from './settle-reservation.ts'
import type { TaggedUse } from './tags.ts'

/** A report of what was used of a lease since it was made or last renewed. */
export interface LeaseReport {
  leaseId: string
  use: readonly TaggedUse[]
  requestId?: string | undefined
  /** What the renewed lease should have; without it the lease ends. */
  renewal?: { units: number; ttlSeconds: number }
}

/** What whoever reports is told. */
export interface Reported extends Spender, Use {
  /** The id of the renewed lease, or of the one that has ended. */
  id: string
  /** Units of the renewed lease; 0 if the lease has ended. */
  units: number
  /** Epoch ms; undefined if the lease has ended. */
  expiresAtMs: number | undefined
  /** Units reported that are paid for: all but those for which neither the lease nor the balance had units. */
  covered: number
}

/**
 * Settles what was used of a lease, and either returns the rest or keeps the lease with as many units again as it
 * asks for and are there, under another id. Usually one read and one write. The use of a lease that has expired is
 * settled too, once; then no lease is open afterwards.
 * @throws DomainError `lease_ended` if another report has ended or renewed the lease, which changes nothing;
 *   `not_found` for what is no id of a lease; `unauthorized`, `account_deactivated`, `account_suspended`,
 *   `temporarily_unavailable`
 */
export async function reportLease(
  deps: QuotaDeps,
  key: KeyOrAccount,
  report: LeaseReport,
): Promise<Reported> {
  const { leaseId, requestId, renewal } = report
  const nonce = nonceIn(leaseId, LEASE)
  const units = totalUnits(report.use)
  const kind = renewal ? 'renew' : 'return'
  return forKey(deps, key, async (caller) => {
    if (!nonce) throw new DomainError('not_found')
    const { accountId } = caller
    // The units belong to the name, as those of a settle.
    const id = requestIdOf(
      deps,
      accountId,
      requestId === undefined ? [leaseId, `${kind} ${units}`] : [requestId, `${kind} ${leaseId} ${units}`],
    )
    const next = renewal && { nonces: newNonces(deps, accountId, id), ...renewal }
    const ended = await endReservation(deps, caller, { nonce, id, use: report.use, next }).catch(leaseEnded)
    const { counter, by, covered, replayed } = ended
    return {
      id: ended.next ? reservationIdOf(epochMsAt(id.time), ended.next.nonce, LEASE) : leaseId,
      units: ended.next?.units ?? 0,
      expiresAtMs: ended.next?.expiresAtMs,
      covered,
      ...useOf(counter, await readAllowance(deps, by, counter)),
      ...(replayed && { replayed }),
    }
  })
}

function leaseEnded(error: unknown): never {
  if (error instanceof DomainError && error.code === 'reservation_ended') throw new DomainError('lease_ended')
  throw error
}
