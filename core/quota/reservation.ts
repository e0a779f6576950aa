import type { Deps } from '../ports.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import {
  dueAt,
  type Key,
  keys,
  RESERVATION_PREFIX,
  reservationAlarmKey,
  reservationKey,
} from '../table/keys.ts'
import { stored } from '../table/stored.ts'
import type { Item, Write } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import type { Counter } from './counter.ts'
import type { RequestId } from './request-id.ts'

/*
 * A reservation takes units now and says later how many of them were used. Its units are held: neither left nor
 * used. At any time `left + used + held` are the units credited.
 *
 * - Open reservations live in the counter, as entries of the set `v`, so that reserving and settling are one
 *   conditional write each. An entry has all that there is to know. Beyond `OPEN_IN_COUNTER` a reservation gets an
 *   item of its own, in a transaction that costs four times as much, and the counter stays under 1 KB.
 * - Whatever ends a reservation removes its entry, or marks its item, on the condition that it is there. So exactly
 *   one of all settles, returns and expiries takes effect.
 * - A repeat is recognised by its request id, in the ring and the archive as that of a consume. The id of a settle
 *   includes the reservation's and the units; without an id of the client it is made of these alone.
 * - Units count as used when they are settled, on that day (UTC), for the key that reserved, if that is still live.
 * - Expiry: while `v` has entries, the account has an alarm, an item that is due all the time, so that the job looks
 *   at the counter each minute. Until the job has returned the units, a late settle still counts. Items of their own
 *   are due at their expiry.
 * - `z` is the alarm's token. A reservation writes on the condition that `z` is as it was read, and first sets an
 *   alarm if `z` is not above 0. The job switches an alarm off in the counter first, by a `z` that no reservation has
 *   read, on the condition that `v` is empty, and then removes the alarm if its token is still the same. So no write
 *   adds an entry without an alarm.
 * - Any live key of the account settles. A blocked account settles nothing; its reservations expire as all do.
 * - A lease is a reservation that a process spends in its own memory. Its entry has a flag, and its id another
 *   variant. Each renewal settles the lease and opens the next one, with another id, in one write: so a renewal takes
 *   effect once for the same reason as a settle, and a lease that was renewed cannot be renewed with other units.
 * - A lease that expired leaves an item that says so, and one later report of its use still counts.
 */

/** Most entries of `v`. */
export const OPEN_IN_COUNTER = 6

/** Longest life of a reservation, seconds. */
export const RESERVATION_MOST_SECONDS = 3600

/** How long after its expiry the use of a lease can still be reported. Less than request ids are kept. */
export const LATE_REPORT_MS = 3 * DAY_MS

/** Bytes of an entry: nonce, units, second of the expiry (since 1970), slot of the key with two flags. */
const NONCE_BYTES = 6
const UNITS_AT = NONCE_BYTES
const EXPIRY_AT = UNITS_AT + 4
const SLOT_AT = EXPIRY_AT + 4
const ENTRY_BYTES = SLOT_AT + 3
const LEASE_FLAG = 0x80_00_00
const CHARGE_FLAG = 0x40_00_00
const SLOT_MASK = CHARGE_FLAG - 1

/** What happens to the units of a lease that expires before their use was reported: they return, or count as used. */
export type Unreported = 'return' | 'charge'

/** An open reservation. */
export interface Reservation {
  nonce: Buffer
  units: number
  /** On a whole second, epoch ms. */
  expiresAtMs: number
  /** Slot of the key that reserved. */
  slot: number
  /** Set if this is a lease. */
  unreported?: Unreported | undefined
}

/** The part of an id that tells a lease from another reservation. */
export const LEASE = '9000'
const RESERVATION = '8000'

/**
 * The reservation's id as callers see it: a UUIDv7 that ends in the nonce, so that a settle without a request id of its
 * own has one with a time, which costs half. The time is that of the request's id, or of the moment without an id: a
 * repeat of the request must have the same.
 */
export function reservationIdOf(atMs: number, nonce: Buffer, variant = RESERVATION): string {
  const time = atMs.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-${variant}-${nonce.toString('hex')}`
}

/** The nonce in a reservation's id; undefined if the text is no such id. */
export function nonceIn(reservationId: string, variant = RESERVATION): Buffer | undefined {
  const [, found, hex = ''] =
    /^[0-9a-f]{8}-[0-9a-f]{4}-7000-([89]000)-([0-9a-f]{12})$/.exec(reservationId) ?? []
  return found === variant ? Buffer.from(hex, 'hex') : undefined
}

/** The nonce of a new reservation, and those that an earlier copy of its request may have got by another root secret. */
export type Nonces = [Buffer, ...Buffer[]]

/** A request with an id always gets the same nonces. */
export function newNonces(deps: Deps<'keyring'>, accountId: string, id: RequestId | undefined): Nonces {
  if (!id) return [Buffer.from(deps.ids.hex(NONCE_BYTES), 'hex')]
  const nonceOf = (entry: Buffer, at: number) => {
    const mac = deps.keyring.macs('mac:reservation', accountId, entry.toString('hex'))[at] as Buffer
    return mac.subarray(0, NONCE_BYTES)
  }
  const [first, ...others] = id.entries
  return [nonceOf(first, 0), ...others.map((entry, at) => nonceOf(entry, at + 1))]
}

/** When a reservation that is made now expires: on a whole second, epoch ms. */
export const expiryAfter = (deps: Deps, seconds: number): number =>
  Math.ceil(deps.clock.nowMs() / 1000 + seconds) * 1000

export function reservationEntry({ nonce, units, expiresAtMs, slot, unreported }: Reservation): Buffer {
  const flags = (unreported ? LEASE_FLAG : 0) + (unreported === 'charge' ? CHARGE_FLAG : 0)
  const bytes = Buffer.alloc(ENTRY_BYTES)
  nonce.copy(bytes)
  bytes.writeUInt32BE(units, UNITS_AT)
  bytes.writeUInt32BE(expiresAtMs / 1000, EXPIRY_AT)
  bytes.writeUIntBE(flags + slot, SLOT_AT, 3)
  return bytes
}

function readReservation(entry: Uint8Array): Reservation {
  const bytes = Buffer.from(entry)
  const last = bytes.readUIntBE(SLOT_AT, 3)
  return {
    nonce: bytes.subarray(0, NONCE_BYTES),
    units: bytes.readUInt32BE(UNITS_AT),
    expiresAtMs: bytes.readUInt32BE(EXPIRY_AT) * 1000,
    slot: last & SLOT_MASK,
    ...(last & LEASE_FLAG && { unreported: last & CHARGE_FLAG ? 'charge' : 'return' }),
  }
}

/** The open reservations in a counter. */
export const openIn = ({ item }: Pick<Counter, 'item'>): Reservation[] =>
  [...((item.v as Set<Uint8Array> | undefined) ?? [])].map(readReservation)

/** What is stored of a reservation outside the counter. */
export interface StoredReservation {
  /** Undefined once it has ended. */
  open: Reservation | undefined
  /** A lease that has expired, unless its use was reported since. */
  expired: Reservation | undefined
  /** Units that its settle covered, if it was settled here. */
  covered: number | undefined
}

export async function readStoredReservation(
  deps: Deps<'table'>,
  accountId: string,
  nonce: Buffer,
): Promise<StoredReservation | undefined> {
  const item = await deps.table.get(reservationKey(accountId, nonce.toString('hex')))
  if (!item) return undefined
  return {
    open: item.due === undefined ? undefined : fromItem(item, nonce),
    expired: item.expired === undefined ? undefined : fromItem(item, nonce),
    covered: item.covered as number | undefined,
  }
}

const PAGE = 200

/** A page of the open reservations that have an item of their own, and after which key the next page begins. */
export async function readOpenReservations(
  deps: Deps<'table'>,
  accountId: string,
  after: Key | undefined,
): Promise<{ open: Reservation[]; next: Key | undefined }> {
  const options = { limit: PAGE, ...(after && { after }) }
  const items = await deps.table.list(keys.account(accountId), RESERVATION_PREFIX, options)
  const last = items.length === PAGE ? items.at(-1) : undefined
  const open = items.filter(({ due }) => due !== undefined)
  return {
    open: open.map((item) => fromItem(item, nonceOf(item))),
    next: last && { pk: stored(last, 'pk', 'string'), sk: stored(last, 'sk', 'string') },
  }
}

const nonceOf = (item: Item): Buffer =>
  Buffer.from(stored(item, 'sk', 'string').slice(RESERVATION_PREFIX.length), 'hex')

function fromItem(item: Item, nonce: Buffer): Reservation {
  const number = (name: string) => stored(item, name, 'number')
  return {
    nonce,
    units: number('units'),
    expiresAtMs: number('expiresAtMs'),
    slot: number('slot'),
    unreported: item.unreported as Unreported | undefined,
  }
}

/** The attributes of an item that describe its reservation. */
export const reservationAttributes = ({ units, expiresAtMs, slot, unreported }: Reservation): Item => ({
  units,
  expiresAtMs,
  slot,
  ...(unreported && { unreported }),
})

/** The write that sets an alarm, and its token. */
export function alarm(deps: Deps, accountId: string): { token: number; set: Expression } {
  const token = 1 + Number.parseInt(deps.ids.hex(5), 16)
  const { due, dueAtMs } = dueAt('RESERVED', accountId, deps.clock.nowMs())
  return { token, set: expr`SET #due = ${due}, #dueAtMs = ${dueAtMs}, #token = ${token}` }
}

/**
 * Makes the job look for units that the account owes while it has reservations. With another token, a run under way
 * does not take the alarm away.
 */
export function owingAlarm(deps: Deps, accountId: string): Write {
  const { set } = alarm(deps, accountId)
  return { update: reservationAlarmKey(accountId), set: join([set, expr`#owes = ${true}`], ', ') }
}
