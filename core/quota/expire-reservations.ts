import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { attr, type Expression, expr, join, setRemove } from '../table/expression.ts'
import {
  accountIdIn,
  type Key,
  keys,
  RESERVATION_KEPT_MS,
  reservationAlarmKey,
  reservationKey,
  ttlAt,
} from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { balanceChange } from './change-balance.ts'
import { CONSUME_ATTEMPTS, pauseBetween } from './consume.ts'
import { type Counter, parseCounter, readCounter } from './counter.ts'
import { changeDay } from './day-snapshot.ts'
import { countsUse, whileCounting } from './key-caller.ts'
import { changeTaken } from './key-limits.ts'
import { dayOf, keyUseAttribute } from './quota.ts'
import {
  openIn,
  type Reservation,
  readStoredReservation,
  reservationAttributes,
  reservationEntry,
} from './reservation.ts'
import { endedItem } from './settle-reservation.ts'

/**
 * Returns the units of reservations that have expired, whether or not the account is blocked. Two runs at once are
 * safe: a reservation ends once.
 * @param collectOwed takes what an account owes out of units that have returned, and says whether it owes more
 * @returns how many accounts or items had something to return, and how many failed and stay due
 */
export const expireReservations = (
  deps: Deps<'table'>,
  run: Run,
  collectOwed: (accountId: string) => Promise<boolean>,
): Promise<Worked> =>
  eachDue(deps, 'RESERVED', run, (key) => {
    const accountId = accountIdIn(key)
    const isAlarm = key.sk === reservationAlarmKey(accountId).sk
    return isAlarm ? lookIntoCounter(deps, accountId, collectOwed) : expireItem(deps, accountId, key)
  })

/** Returns what has expired in a counter, and switches its alarm off once no reservation is open there. */
async function lookIntoCounter(
  deps: Deps<'table'>,
  accountId: string,
  collectOwed: (accountId: string) => Promise<boolean>,
): Promise<boolean> {
  const alarm = await deps.table.get(reservationAlarmKey(accountId))
  let counter = await readCounter(deps, accountId)
  let returned = false
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    const expired = openIn(counter).filter(({ expiresAtMs }) => expiresAtMs <= deps.clock.nowMs())
    if (expired.length === 0) {
      // While units are held that the account owes, the job looks again.
      const owes = alarm?.owes === true && (await collectOwed(accountId)) && counter.held > 0
      if (openIn(counter).length === 0 && alarm && !owes)
        await switchOff(deps, accountId, Number(alarm.token))
      return returned
    }
    const moved = await moveToToday(deps, accountId, counter, expired)
    if (moved) {
      counter = moved
      continue
    }
    try {
      const entries = expired.map(reservationEntry)
      counter = await giveBack(deps, accountId, counter, expired, {
        removes: [expr`DELETE #v ${new Set(entries)}`],
        conditions: entries.map((entry) => expr`contains(#v, ${entry})`),
        items: expired
          .filter(({ unreported }) => unreported)
          .map((each) => expiredItem(accountId, each, false)),
      })
      returned = true
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      counter = error.failed.get(0) ? parseCounter(error.failed.get(0)) : await readCounter(deps, accountId)
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** The units of a lease that count as used do so on the day on which the job counts them. */
async function moveToToday(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  expired: readonly Reservation[],
): Promise<Counter | undefined> {
  const today = dayOf(deps.clock.nowMs())
  if (counter.day >= today || !expired.some(isCharged)) return undefined
  return changeDay(deps, accountId, counter, today)
}

const isCharged = ({ unreported }: Reservation): boolean => unreported === 'charge'

/** Returns the units of a reservation that has an item of its own. */
async function expireItem(deps: Deps<'table'>, accountId: string, { sk }: Key): Promise<boolean> {
  const nonce = Buffer.from(sk.slice(sk.indexOf('#') + 1), 'hex')
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    const stored = await readStoredReservation(deps, accountId, nonce)
    const open = stored?.open
    if (!open) return false
    const counter = await readCounter(deps, accountId)
    if (await moveToToday(deps, accountId, counter, [open])) continue
    try {
      const ended = open.unreported
        ? expiredItem(accountId, open, true)
        : endedItem(accountId, open, 0, 'item')
      await giveBack(deps, accountId, counter, [open], { removes: [], conditions: [], items: [ended] })
      return true
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** Says of a lease that it has expired, so that a late report of its use is known for the first one. */
function expiredItem(accountId: string, lease: Reservation, isMoved: boolean): Write {
  const { nonce, expiresAtMs } = lease
  const { ttl } = ttlAt(expiresAtMs + RESERVATION_KEPT_MS)
  const described = { ...reservationAttributes(lease), expired: true, ttl }
  const sets = Object.entries(described).map(([name, value]) => expr`${attr(name)} = ${value}`)
  return {
    update: reservationKey(accountId, nonce.toString('hex')),
    set: setRemove(sets, [expr`#due, #dueAtMs, #covered`]),
    if: isMoved ? expr`attribute_exists(#due)` : expr`attribute_not_exists(#due)`,
  }
}

/**
 * Adds the units of reservations to those left, or to those used, together with what ends the reservations.
 * @throws ConditionFailed
 */
async function giveBack(
  deps: Deps<'table'>,
  accountId: string,
  seen: Counter,
  reservations: readonly Reservation[],
  end: { removes: Expression[]; conditions: Expression[]; items: Write[] },
): Promise<Counter> {
  const units = sumOf(reservations)
  const charged = reservations.filter(isCharged)
  const used = sumOf(charged)
  const change = balanceChange(deps, accountId, units - used, seen)
  const byKey = Map.groupBy(charged, ({ slot }) => slot)
  // What is charged stays taken out of the key's budget, as it was held and is used now.
  const returning = reservations.filter((each) => !isCharged(each))
  const taken = [...Map.groupBy(returning, ({ slot }) => slot)].map(([slot, held]) =>
    changeTaken(seen.item, slot, -sumOf(held)),
  )
  // The use of a key that was revoked meanwhile counts for the account alone.
  const adds = [
    expr`#y ${-units}`,
    ...(used > 0 ? [expr`#u ${used}`] : []),
    ...[...byKey]
      .filter(([slot]) => countsUse(seen.item, slot))
      .map(([slot, leases]) => expr`${attr(keyUseAttribute(slot))} ${sumOf(leases)}`),
    ...taken.flatMap((each) => each.adds),
  ]
  const set = join(
    [
      join([expr`SET `, join(change.sets, ', ')], ''),
      join([expr`ADD `, join(adds, ', ')], ''),
      ...end.removes,
    ],
    ' ',
  )
  const limits = taken.flatMap((each) => each.conditions)
  const hashes = [...byKey.keys()].flatMap((slot) => whileCounting(seen.item, slot))
  const condition = join([...change.conditions, ...end.conditions, ...hashes, ...limits], ' AND ')
  const key = keys.quota(accountId)
  if (end.items.length === 0) return parseCounter(await deps.table.update(key, set, condition))
  await deps.table.transact([{ update: key, set, if: condition }, ...end.items])
  return readCounter(deps, accountId)
}

const sumOf = (reservations: readonly Reservation[]): number =>
  reservations.reduce((sum, { units }) => sum + units, 0)

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
