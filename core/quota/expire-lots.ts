import { DomainError } from '../errors.ts'
import { EXPIRY_NOTICE_MS } from '../ledger/entry.ts'
import { unitsText } from '../notifications/amounts.ts'
import { newNotice } from '../notifications/notices.ts'
import { timeText } from '../notifications/recovery-texts.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { accountIdIn, type Key, keys } from '../table/keys.ts'
import { type Item, ignoreRefusal } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { applyLedger } from './apply-ledger.ts'
import { bookExpiry } from './book-expiry.ts'
import { CONSUME_ATTEMPTS, pauseBetween } from './consume.ts'
import { type Counter, readCounter } from './counter.ts'
import { changeDay } from './day-snapshot.ts'
import { readExpiring } from './expiry.ts'
import { firstLot, hasLotEnded, type Lot, readLot } from './lots.ts'
import { dayOf } from './quota.ts'

/**
 * Ends the lots whose day has come: what is left of them expires, also of accounts that nobody uses, and gets its ledger
 * entry. Some days before, their owners are told. Safe to repeat, and two runs at once are.
 * @returns how many lots had something to do, and how many failed and stay due
 */
export const expireLots = (deps: Deps<'table'>, run: Run): Promise<Worked> =>
  eachDue(deps, 'LOT', run, async (key) => {
    const item = await deps.table.get(key)
    if (!item) return false
    const lot = readLot(item)
    return dayOf(deps.clock.nowMs()) < lot.day ? tellOfExpiry(deps, key, lot, item) : endLot(deps, key, lot)
  })

async function endLot(deps: Deps<'table'>, key: Key, lot: Lot): Promise<boolean> {
  const accountId = accountIdIn(key)
  const { item, seq, day } = await moveToToday(deps, accountId, lot)
  if (item.X !== undefined) await bookExpiry(deps, accountId)
  // The last thing, because the item brings the job here.
  if (hasLotEnded(lot, firstLot(item), seq)) await deps.table.remove(key)
  // Units of the lot were held when it expired.
  else await postpone(deps, key, (day + 1) * DAY_MS)
  return true
}

/** @returns the counter once it includes the lot's entry and is on today's day. */
async function moveToToday(deps: Deps<'table'>, accountId: string, lot: Lot): Promise<Counter> {
  let counter = await readCounter(deps, accountId)
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    const today = dayOf(deps.clock.nowMs())
    if (counter.seq < lot.seq) {
      await applyLedger(deps, accountId)
      counter = await readCounter(deps, accountId)
    } else if (counter.day < today && firstLot(counter.item))
      counter = await changeDay(deps, accountId, counter, today)
    else return counter
  }
  throw new DomainError('temporarily_unavailable')
}

const postpone = (deps: Deps<'table'>, key: Key, untilMs: number) =>
  deps.table.update(key, expr`SET #dueAtMs = ${untilMs}`, expr`attribute_exists(#due)`).catch(ignoreRefusal)

/** Tells the owner how many units expire with the lots of a day, once, unless none is left of them. */
async function tellOfExpiry(
  deps: Deps<'table'>,
  key: Key,
  { day }: Lot,
  { dueAtMs }: Item,
): Promise<boolean> {
  const accountId = accountIdIn(key)
  const counter = await readCounter(deps, accountId)
  const { expiring } = await readExpiring(deps, accountId, counter)
  const { units = 0 } = expiring.find((each) => each.day === day) ?? {}
  const told = {
    update: key,
    set: expr`SET #dueAtMs = ${day * DAY_MS}`,
    if: expr`#dueAtMs = ${dueAtMs}`,
  }
  // The lots of a day have one notice.
  const id = `${(day * DAY_MS - EXPIRY_NOTICE_MS).toString(16).padStart(12, '0')}${'1'.repeat(12)}`
  const text = `${unitsText(units)} of yours will expire: use them before ${timeText(day * DAY_MS)}.`
  const notice = { ...newNotice(deps, accountId, 'units_expiring', text), ...keys.notice(accountId, id), id }
  try {
    const isNew = units > 0 && (await deps.table.get(keys.notice(accountId, id))) === undefined
    await deps.table.transact([told, ...(isNew ? [{ put: notice, if: expr`attribute_not_exists(pk)` }] : [])])
    return isNew
  } catch (error) {
    // Another run was first. If it has told of another lot of the day, this one stays due.
    ignoreRefusal(error)
    return false
  }
}
