import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { ALERT_KEPT_MS, crossedAlertKey, dueAt, ttlAt } from '../table/keys.ts'
import { ignoreRefusal } from '../table/table.ts'
import { alertCode, readAlerts, unitsOf } from './alerts.ts'
import type { Quota } from './quota.ts'

/**
 * Gives each alert that is crossed an item of its own, which is due until everybody has been told. Idempotent: the
 * item's key names the crossing. The caller then writes the counter without the crossed marks (`clearCrossed`), on the
 * condition that `i` is as it was read. Costs nothing while no alert is crossed.
 */
export async function handOverAlerts(
  deps: Deps<'table'>,
  accountId: string,
  { alerts: stored, left, size, seq }: Pick<Quota, 'alerts' | 'left' | 'size' | 'seq'>,
): Promise<{ pk: string; sk: string }[]> {
  const { revision, alerts, crossedAtMs } = readAlerts(stored)
  const nowMs = deps.clock.nowMs()
  const crossed = alerts.filter((alert) => alert.crossed)
  return Promise.all(
    crossed.map(async ({ below }) => {
      // Between two entries of the ledger an alert is armed only by its owner's choice.
      const key = crossedAlertKey(accountId, seq, revision, alertCode(below))
      const item = {
        ...key,
        id: deps.ids.uuid(),
        below,
        threshold: unitsOf(below, size),
        left,
        atMs: crossedAtMs,
        ...dueAt('ALERT', accountId, nowMs),
        ...ttlAt(nowMs + ALERT_KEPT_MS),
      }
      await deps.table.put(item, expr`attribute_not_exists(pk)`).catch(ignoreRefusal)
      return key
    }),
  )
}
