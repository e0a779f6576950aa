import type { Account } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { moveAlertSteps, readQuota } from './apply-ledger.ts'
import { handOverAlerts } from './crossed-alerts.ts'

/**
 * Replaces the owner's alerts. What the earlier ones have crossed is still told; one that stays keeps its state.
 * Usually one write and no further read; the same alerts again write nothing.
 * @param chosen thresholds, each once: below 1 a share of the bundle held, from 1 on units. Empty for no alerts.
 * @throws DomainError because alerts are mailed; `conflict` after too many lost races
 */
export async function setAlerts(
  deps: Deps<'table'>,
  account: Account,
  chosen: readonly number[],
): Promise<void> {
  await retryRaces(deps, async (tries) => {
    const quota = (tries === 1 && account.quota) || (await readQuota(deps, account.id))
    const change = moveAlertSteps(quota, chosen)
    if (!change) return
    await handOverAlerts(deps, account.id, quota)
    await deps.table.update(keys.quota(account.id), change.set, change.if)
  })
}
