import { grantChange } from '../ledger/change-units.ts'
import { bookingWrites, type OperatedAccount, readOperated } from '../ledger/operator-entries.ts'
import { unitsText } from '../notifications/amounts.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { type Expression, expr, unchangedSince } from '../table/expression.ts'
import { accountIdIn, keys, monthlyKey } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { stored } from '../table/stored.ts'
import type { Item, Write } from '../table/table.ts'
import { nextDayOfMonthMs } from '../time.ts'
import { heldBundle } from './held.ts'

/*
 * A plan may give its holders units each month, free of charge. They come when the account takes the plan, and then on
 * the same day of each month (UTC), when what is left of those before expires.
 *
 * - The item `MONTHLY#` has that day, and until when the account has had its units (`untilMs`). The transaction that
 *   grants them moves `untilMs` from the value that was read, so it takes place once a month, whatever repeats or races.
 * - An account that is not active gets nothing. When it is active again, the write that makes it so has the job look
 *   at it: it gets the units of the month that has begun, and none of those that it has missed.
 * - The item outlives a change to a plan without monthly units until the month is over. So changing back and forth
 *   gives nobody the units of a month twice.
 */

/**
 * Gives the accounts that are due the units of the month. Safe to repeat, and two runs at once are.
 * @returns how many accounts got units, and how many failed and stay due
 */
export const grantMonthly = (deps: Deps<'table'>, run: Run): Promise<Worked> =>
  eachDue(deps, 'MONTHLY', run, (key) => grantMonth(deps, accountIdIn(key)))

/**
 * Gives an account the units of the month, unless it has got them.
 * @returns whether it got them now
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export const grantMonth = (deps: Deps<'table'>, accountId: string): Promise<boolean> =>
  retryRaces(
    deps,
    async () => {
      const key = monthlyKey(accountId)
      const item = await deps.table.get(key)
      if (!item) return false
      const { day, untilMs } = readMonthly(item)
      const nowMs = deps.clock.nowMs()
      if (nowMs < untilMs) {
        await deps.table.update(key, expr`SET #dueAtMs = ${untilMs}`, unchangedMonthly(item))
        return false
      }
      const account = await readOperated(deps, accountId)
      if (!account) {
        await deps.table.remove(key)
        return false
      }
      const { writes, isGrant } = await grantWrites(deps, account, item, nextDayOfMonthMs(nowMs, day))
      await deps.table.transact(writes)
      return isGrant
    },
    'temporarily_unavailable',
  )

/** Malformed items fail before anything is written. */
const readMonthly = (item: Item): { day: number; untilMs: number } => ({
  day: stored(item, 'day', 'number'),
  untilMs: item.untilMs === undefined ? 0 : stored(item, 'untilMs', 'number'),
})

const unchangedMonthly = (item: Item): Expression => unchangedSince(item, ['day', 'untilMs', 'dueAtMs'])

/** What happens to an account that has not got the units of the month that ends at `endMs`. */
async function grantWrites(
  deps: Deps<'table'>,
  account: OperatedAccount,
  item: Item,
  endMs: number,
): Promise<{ writes: Write[]; isGrant: boolean }> {
  const { id, status } = account
  const key = monthlyKey(id)
  const unchanged = unchangedMonthly(item)
  // Whatever changes the plan makes entries of the ledger.
  const same = { check: keys.profile(id), if: unchangedSince(account, ['status', 'ledgerSeq']) }
  const { name, monthlyUnits } = heldBundle(account) ?? {}
  if (name === undefined || monthlyUnits === undefined)
    return { writes: [{ remove: key, if: unchanged }, same], isGrant: false }
  if (status !== 'active') {
    const later = { update: key, set: expr`SET #dueAtMs = ${endMs}`, if: unchanged }
    return { writes: [later, same], isGrant: false }
  }
  const text = `Your ${name} bundle gives you ${unitsText(monthlyUnits)} this month.`
  const grant = await grantChange(
    deps,
    account,
    { units: monthlyUnits, expiresAtMs: endMs, bundle: name },
    text,
  )
  return {
    writes: [
      { update: key, set: expr`SET #untilMs = ${endMs}, #dueAtMs = ${endMs}`, if: unchanged },
      ...(await bookingWrites(deps, account, grant)),
      grant.announce(account.ledgerSeq + 1),
      { put: newNotice(deps, id, grant.notice.messageType, grant.notice.text) },
    ],
    isGrant: true,
  }
}
