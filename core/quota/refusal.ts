import { DomainError } from '../errors.ts'
import { attr, expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import type { Refused } from './container-cache.ts'
import { balanceOf, type Counter } from './counter.ts'
import type { QuotaDeps } from './key-caller.ts'
import { type Allowance, keyLeftOf } from './key-limits.ts'
import { callByConsume, startRenewal } from './renewal-call.ts'
import { isBelowRenewal } from './thresholds.ts'

/** Most units of one request for which a renewal is bought: those of the bundle that would be bought. */
export const servable = ({ size, renewalSize = size }: Counter): number => size && renewalSize

export const refusedBy = (counter: Counter, allowance: Allowance): Refused => ({
  left: balanceOf(counter),
  used: counter.used,
  servable: servable(counter),
  keyLeft: keyLeftOf(allowance),
})

/** About as long as a renewal takes, and as long as nothing changes unless a person buys, seconds. */
const RENEWAL_SECONDS = 2
const PERSON_SECONDS = 60

/** The error of a request for which too few units are left. */
export const quotaExhausted = (
  needed: number,
  { left, used, servable: most, keyLeft }: Refused,
): DomainError =>
  new DomainError('quota_exhausted', {
    detail: oversizeDetail(needed, most),
    retryAfterSeconds: needed <= most ? RENEWAL_SECONDS : PERSON_SECONDS,
    members: { left, used, needed, keyLeft, refill: most > 0 ? '/v1/user/buy' : '/v1/user/bundle' },
  })

/** What a caller is told whose request no renewal can serve; undefined for any other refusal. */
export const oversizeDetail = (units: number, most: number): string | undefined =>
  most > 0 && units > most
    ? `Not enough units are left, and a bundle holds ${most}: auto-renewal buys nothing for a larger request. Nothing was spent. Send smaller requests, or take a larger bundle.`
    : undefined

/**
 * Notes on the counter that a request was refused for want of units. The first such refusal since the last
 * ledger entry calls for a renewal, unless the balance is below the threshold, which has called already. A
 * request for more units than a bundle holds never calls: its client would be charged again and again and
 * still be refused. Each of the two notes costs one write in a cycle. A failure is logged and not thrown:
 * nothing was spent, and the caller has to learn that.
 */
export async function noteRefusal(
  deps: QuotaDeps,
  accountId: string,
  counter: Counter,
  units: number,
): Promise<void> {
  const { seq, size, item } = counter
  const calls = units <= servable(counter)
  const note = calls ? 'k' : 'j'
  if (size === 0 || item[note] === seq) return
  if (calls && isBelowRenewal(balanceOf(counter), counter)) return
  const call = callByConsume(accountId, deps.clock.nowMs(), { notice: false, renewal: calls })
  try {
    await deps.table.update(
      keys.quota(accountId),
      join([expr`SET ${attr(note)} = ${seq}`, ...call], ', '),
      expr`#s = ${seq} AND (attribute_not_exists(${attr(note)}) OR ${attr(note)} < ${seq})`,
    )
  } catch (error) {
    // Another request was refused first, or the ledger has moved on.
    if (error instanceof ConditionFailed) return
    deps.log.warn('a refusal did not call for a renewal; the next one does', error, { accountId })
    return
  }
  if (calls) await startRenewal(deps, accountId)
}
