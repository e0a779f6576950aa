import { DomainError } from '../errors.ts'
import { attr, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import type { Refused } from './container-cache.ts'
import { balanceOf, type Counter, parseCounter } from './counter.ts'
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

/** Another kind of refusal may be noted at the same moment. */
const NOTE_ATTEMPTS = 2

/**
 * Notes on the counter that a request was refused for want of units. The first such refusal since the last
 * ledger entry is announced by check-quotas, and calls for a renewal, unless the balance is below the threshold, which
 * has called already. A request for more units than a bundle holds never calls: its client would be charged again and
 * again and still be refused. All of it costs two writes in a cycle at most. A failure is logged and not thrown:
 * nothing was spent, and the caller has to learn that.
 */
export async function noteRefusal(
  deps: QuotaDeps,
  accountId: string,
  counter: Counter,
  units: number,
): Promise<void> {
  let now = counter
  for (let tries = 0; tries < NOTE_ATTEMPTS; tries++) {
    const note = noteOf(deps, accountId, now, units)
    if (!note) return
    try {
      await deps.table.update(keys.quota(accountId), note.set, note.if)
      if (note.calls) await startRenewal(deps, accountId)
      return
    } catch (error) {
      const item = error instanceof ConditionFailed ? error.failed.get(0) : undefined
      if (!item) {
        deps.log.warn('a refusal did not call for a renewal; the next one does', error, { accountId })
        return
      }
      now = parseCounter(item)
      // The ledger has moved on: a new cycle has begun.
      if (now.seq !== counter.seq) return
    }
  }
}

/** The write of a note, and whether it calls for a renewal; undefined if there is nothing to note. */
function noteOf(deps: QuotaDeps, accountId: string, counter: Counter, units: number) {
  const { seq, size, item } = counter
  const isServable = units <= servable(counter)
  const name = isServable ? 'k' : 'j'
  const hasCalled = isServable && isBelowRenewal(balanceOf(counter), counter)
  const isNew = size > 0 && item[name] !== seq && !hasCalled
  const exhausted = item.kx !== seq
  if (!isNew && !exhausted) return undefined
  const calls = isNew && isServable
  const sets = [
    ...(isNew ? [expr`${attr(name)} = ${seq}`] : []),
    ...(exhausted ? [expr`#kx = ${seq}`] : []),
    ...callByConsume(accountId, deps.clock.nowMs(), { notice: false, renewal: calls, exhausted }),
  ]
  return {
    calls,
    set: setRemove(sets, []),
    if: join([expr`#s = ${seq}`, unchangedSince(item, ['k', 'j', 'kx'])], ' AND '),
  }
}
