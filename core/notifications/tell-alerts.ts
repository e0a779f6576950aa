import * as z from 'zod/mini'
import { isNobodys, readAccount } from '../account/account.ts'
import { announce } from '../events/outbox.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { accountIdIn, type Key } from '../table/keys.ts'
import { ignoreRefusal } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'
import { alertNewsSchema, alertText } from './alert-text.ts'
import { newNotice } from './notices.ts'
import { queueMail } from './outbox.ts'

/** A crossed alert as `handOverAlerts` (core/quota/crossed-alerts.ts) stores it. */
const crossedAlertSchema = z.extend(alertNewsSchema, {
  /** Names the crossing for whoever gets its event. */
  id: z.string(),
  /** Set with its notice and its mail. */
  told: z.optional(z.literal(true)),
})

/**
 * Writes the notice and the mail of a crossed alert, in one transaction, once.
 * @returns the alert, and whether this call has written them; undefined if nobody is left who could be told
 */
export async function tellAlert(
  deps: Deps<'table'>,
  { pk, sk }: Key,
): Promise<(z.infer<typeof crossedAlertSchema> & { isNew: boolean }) | undefined> {
  const key = { pk, sk }
  const item = await deps.table.get(key)
  if (!item) return undefined
  const alert = z.parse(crossedAlertSchema, item)
  if (alert.told) return { ...alert, isNew: false }
  const accountId = accountIdIn(key)
  const account = await readAccount(deps, accountId)
  if (!account || isNobodys(account)) {
    await deps.table.remove(key)
    return undefined
  }
  const { below, threshold, left, atMs } = alert
  const news = { below, threshold, left, atMs }
  const { subject, happened, next } = alertText(news)
  const notice = newNotice(deps, accountId, 'quota_alert', `${subject}. ${happened} ${next}`)
  const values = { username: account.username, alert: news }
  const mail = queueMail(deps, { accountId, to: account.email, template: 'quota-alert', values }, 0)
  try {
    await deps.table.transact([
      {
        update: key,
        set: expr`SET #told = ${true}`,
        if: expr`attribute_exists(pk) AND attribute_not_exists(#told)`,
      },
      { put: notice },
      mail.write,
      announce(deps, accountId, 'quota.alert', { threshold, left, ...(below < 1 && { share: below }) }),
    ])
    return { ...alert, isNew: true }
  } catch (error) {
    ignoreRefusal(error)
    return { ...alert, isNew: false }
  }
}

/**
 * Tells of the alerts that were crossed: the owner by notice and mail, once, and other systems by an event on the bus,
 * at least once and always with the same id. What fails is tried again a minute later.
 * @returns how many events were sent, and how many failed and stay due
 */
export const tellAlerts = (deps: Deps<'table' | 'events'>, run: Run): Promise<Worked> =>
  eachDue(deps, 'ALERT', run, async (key) => {
    try {
      return await tellOf(deps, key)
    } catch (error) {
      const later = expr`SET #dueAtMs = ${deps.clock.nowMs() + MINUTE_MS}`
      await deps.table.update(key, later, expr`attribute_exists(#due)`).catch(ignoreRefusal)
      throw error
    }
  })

async function tellOf(deps: Deps<'table' | 'events'>, key: Key): Promise<boolean> {
  const alert = await tellAlert(deps, key)
  if (!alert) return false
  const { id, below, threshold, left, atMs } = alert
  const accountId = accountIdIn(key)
  await deps.events.publish('bursar.quota_alert', {
    version: 1,
    ...{ id, accountId, threshold, left, atMs },
    ...(below < 1 && { share: below }),
  })
  // The item stays as the mark that the crossing was told, should its counter still say that it is not.
  await deps.table.update(key, expr`REMOVE #due, #dueAtMs`, expr`attribute_exists(pk)`).catch(ignoreRefusal)
  return true
}
