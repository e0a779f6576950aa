import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { expr, join } from '../table/expression.ts'
import { accountIdIn, type Key, keys, reservationAlarmKey } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { CONSUME_ATTEMPTS, pauseBetween } from './consume.ts'
import { type Counter, parseCounter, readCounter } from './counter.ts'
import { changeTaken } from './key-limits.ts'
import { openIn, type Reservation, readStoredReservation, reservationEntry } from './reservation.ts'
import { balanceChange, endedItem } from './settle-reservation.ts'

/**
 * Returns the units of reservations that have expired, whether or not the account is blocked. Two runs at once are
 * safe: a reservation ends once.
 * @returns how many accounts or items had something to return, and how many failed and stay due
 */
export const expireReservations = (deps: Deps<'table'>, run: Run): Promise<Worked> =>
  eachDue(deps, 'RESERVED', run, (key) => {
    const accountId = accountIdIn(key)
    const isAlarm = key.sk === reservationAlarmKey(accountId).sk
    return isAlarm ? lookIntoCounter(deps, accountId) : expireItem(deps, accountId, key)
  })

/** Returns what has expired in a counter, and switches its alarm off once no reservation is open there. */
async function lookIntoCounter(deps: Deps<'table'>, accountId: string): Promise<boolean> {
  const alarm = await deps.table.get(reservationAlarmKey(accountId))
  let counter = await readCounter(deps, accountId)
  let returned = false
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    const expired = openIn(counter).filter(({ expiresAtMs }) => expiresAtMs <= deps.clock.nowMs())
    if (expired.length === 0) {
      if (openIn(counter).length === 0 && alarm) await switchOff(deps, accountId, Number(alarm.token))
      return returned
    }
    try {
      const entries = expired.map(reservationEntry)
      counter = await giveBack(deps, accountId, counter, expired, {
        set: expr`DELETE #v ${new Set(entries)}`,
        if: join(
          entries.map((entry) => expr`contains(#v, ${entry})`),
          ' AND ',
        ),
      })
      returned = true
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      counter = parseCounter(error.failed.get(0))
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** Returns the units of a reservation that has an item of its own. */
async function expireItem(deps: Deps<'table'>, accountId: string, { sk }: Key): Promise<boolean> {
  const nonce = Buffer.from(sk.slice(sk.indexOf('#') + 1), 'hex')
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    const stored = await readStoredReservation(deps, accountId, nonce)
    if (!stored?.open) return false
    try {
      const counter = await readCounter(deps, accountId)
      await giveBack(deps, accountId, counter, [stored.open], {
        ended: endedItem(accountId, stored.open, 0, true),
      })
      return true
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** Adds the units of reservations to those left, together with what ends the reservations. @throws ConditionFailed */
async function giveBack(
  deps: Deps<'table'>,
  accountId: string,
  seen: Counter,
  reservations: readonly Reservation[],
  end: { set: ReturnType<typeof expr>; if: ReturnType<typeof expr> } | { ended: Write },
): Promise<Counter> {
  const units = reservations.reduce((sum, each) => sum + each.units, 0)
  const change = balanceChange(deps, accountId, units, seen)
  const inCounter = 'set' in end
  const bySlot = new Map<number, number>()
  for (const { slot, units: held } of reservations) bySlot.set(slot, (bySlot.get(slot) ?? 0) + held)
  const taken = [...bySlot].map(([slot, held]) => changeTaken(seen.item, slot, -held))
  const adds = [expr`#y ${-units}`, ...taken.flatMap((each) => each.adds)]
  const set = join(
    [
      join([expr`SET `, join(change.sets, ', ')], ''),
      join([expr`ADD `, join(adds, ', ')], ''),
      ...(inCounter ? [end.set] : []),
    ],
    ' ',
  )
  const conditions = [...change.conditions, ...taken.flatMap((each) => each.conditions)]
  const condition = join([...conditions, ...(inCounter ? [end.if] : [])], ' AND ')
  const key = keys.quota(accountId)
  if (inCounter) return parseCounter(await deps.table.update(key, set, condition))
  await deps.table.transact([{ update: key, set, if: condition }, end.ended])
  return readCounter(deps, accountId)
}

/** Switches an alarm off, unless a reservation is open or another alarm was set meanwhile. */
async function switchOff(deps: Deps<'table'>, accountId: string, token: number): Promise<void> {
  try {
    // A reservation that has set this alarm, and not written yet, has read another `z` and tries again.
    await deps.table.update(keys.quota(accountId), expr`SET #z = ${-token}`, expr`attribute_not_exists(#v)`)
  } catch (error) {
    return ignoreRefusal(error)
  }
  const alarm = reservationAlarmKey(accountId)
  await deps.table.remove(alarm, expr`#token = ${token}`).catch(ignoreRefusal)
}
