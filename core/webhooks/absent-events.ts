import type { Deps, PaymentEvent } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys, STRIPE_EVENT_KEPT_MS, ttlAt } from '../table/keys.ts'
import { ignoreRefusal } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'

/** How far back the sweep looks for missed events. The provider itself retries an event for three days. */
export const UNDELIVERED_MS = 7 * DAY_MS

/** An event whose object is absent is retried for this time from the first look on, however old it is then. */
const ABSENT_MS = DAY_MS

/** Before an event leaves the reach of the sweep it is given up, so that none is forgotten silently. */
const LAST_LOOK_MS = UNDELIVERED_MS - HOUR_MS

const absenceKey = ({ id }: PaymentEvent) => keys.event(`stripe-absent:${id}`)

/** Stores when the object of an event was first found absent. */
export async function noteAbsence(deps: Deps<'table'>, event: PaymentEvent): Promise<void> {
  const sinceMs = deps.clock.nowMs()
  const item = { ...absenceKey(event), sinceMs, ...ttlAt(sinceMs + STRIPE_EVENT_KEPT_MS) }
  await deps.table.put(item, expr`attribute_not_exists(pk)`).catch(ignoreRefusal)
}

/** Whether the object of an event has been absent so long that nobody waits for it any more. */
export async function isAbsentForGood(deps: Deps<'table'>, event: PaymentEvent): Promise<boolean> {
  const nowMs = deps.clock.nowMs()
  if (nowMs - event.createdMs < ABSENT_MS) return false
  if (nowMs - event.createdMs >= LAST_LOOK_MS) return true
  const item = await deps.table.get(absenceKey(event))
  return item !== undefined && nowMs - Number(item.sinceMs) >= ABSENT_MS
}
