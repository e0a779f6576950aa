import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { parseEntry } from '../purchases/ledger.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { parseQuota, type Quota } from './quota.ts'
import { balanceParts, needsRenewal } from './thresholds.ts'
import { renewalDue } from './wake-renewal.ts'

/** How often a write is tried again that lost to consumes; each of them makes the counter another one. */
const LEDGER_ATTEMPTS = 20

/**
 * Brings the counter up to the ledger: what was written there and is not in the counter yet is applied in one plain
 * conditional write, guarded by the number of the last entry applied. Safe to repeat and to run twice at once.
 */
export async function applyLedger(deps: Deps<'table'>, accountId: string): Promise<void> {
  for (let tries = 0; tries < LEDGER_ATTEMPTS; tries++) {
    const quota = await readQuota(deps, accountId)
    const items = await deps.table.list(keys.account(accountId), 'LEDGER#', {
      after: keys.ledger(accountId, quota.seq),
    })
    const entries = items.map(parseEntry)
    const last = entries.at(-1)
    if (!last) return
    const units = entries.reduce((sum, entry) => sum + entry.units, 0)
    const size = entries.findLast((entry) => entry.size !== undefined)?.size ?? quota.size
    const change = moveBalance(deps, accountId, quota, { units, size, seq: last.seq })
    try {
      await deps.table.update(keys.quota(accountId), change.set, change.if)
      return
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** @throws Error for an account without a counter, which no registration leaves behind */
export async function readQuota(deps: Deps<'table'>, accountId: string): Promise<Quota> {
  const item = await deps.table.get(keys.quota(accountId))
  if (!item) throw new Error('an account has no counter')
  return parseQuota(item)
}

/**
 * The write that adds `units`, or takes them away, and sets the thresholds anew. It holds as long as nothing but
 * consumes comes between, and these leave the balance on the same rung. A notice that waits stays; a renewal that
 * waits is called off by a credit that suffices.
 */
export function moveBalance(
  deps: Deps,
  accountId: string,
  quota: Quota,
  to: { units: number; size: number; seq: number },
): { set: Expression; if: Expression } {
  const balance = quota.left + to.units
  const { floor } = balanceParts(balance, to.size)
  // What is added to the units above the floor.
  const delta = to.units + quota.floor - floor
  const set = [
    expr`#l = #l + ${delta}, #f = ${floor}, #q = ${to.size}, #s = ${to.seq}`,
    ...(needsRenewal(balance, to.size) ? [renewalDue(deps, accountId)] : []),
  ]
  const remove = needsRenewal(balance, to.size)
    ? []
    : [quota.noticeSinceMs === undefined ? expr`#r, #due, #dueAtMs` : expr`#r`]
  return {
    set: join([expr`SET `, join(set, ', '), ...(remove.length > 0 ? [expr` REMOVE `, ...remove] : [])], ''),
    if: expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`,
  }
}
