import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'

/**
 * A request id as the counter stores it. The ring entry has eleven bytes. Its kind depends on the id alone,
 * never on the clock, so that every retry of an id is looked up in the same place.
 *
 * | first byte | kind    | content                                                                       |
 * | ---------- | ------- | ----------------------------------------------------------------------------- |
 * | 0x01–0xfb  | timed   | 5 bytes of time, including the first byte; then 6 bytes of a MAC              |
 * | 0x00       | untimed | after the first byte, 10 bytes of a MAC                                       |
 * | 0xfc–0xff  | batch   | the span (`SPANS_MS`) in the first byte, then 5 bytes of time and 5 random    |
 * |            |         | bytes: together they name the archive item with the ids of a batch            |
 *
 * Two ids of one account are taken for one only if their MACs are equal: 50,000 ids of one millisecond
 * contain such a pair with a probability of 5 in a million. More bytes do not fit into the counter's 1 KB.
 */
export interface RequestId {
  /**
   * The entries: one, or while the root secret rotates one by each live secret, that by the one in use first. An id is known
   * by any of them and stored with all, so a repeat is recognised whichever secrets are live by then.
   */
  entries: [Buffer, ...Buffer[]]
  /** Milliseconds since 2020 of a time-ordered id (UUIDv7, ULID); 0 for any other. */
  time: number
}

/** The moment at which the time scale of ids is zero. Five bytes last until 2054. */
const EPOCH_MS = Date.UTC(2020, 0, 1)
const TIME_BYTES = 5
export const MAC_BYTES = 6
const UNTIMED = 0x00
const BATCH = 0xfc
const FIRST_TIME = 0x01_00000000
/** The newest time of an id, on the scale of `RequestId.time`. */
export const LAST_TIME = 0xfb_ffffffff

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const ULID = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/
const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz'

/** Converts epoch ms to the scale of `RequestId.time`. */
export const idTimeAt = (atMs: number): number => atMs - EPOCH_MS

/** Converts a time on the scale of `RequestId.time` to epoch ms; 0 stands for no time in both. */
export const epochMsAt = (time: number): number => (time === 0 ? 0 : time + EPOCH_MS)

/**
 * How a caller names a request: by an id, by a key for a whole batch and the position in it, or by an id and the
 * kind of request, unless that spends at once. No two of these are equal, whatever characters they have.
 */
export type RequestName = string | readonly [idOrKey: string, positionOrKind: number | string]

/**
 * The stored form of a request's name within its account. Only time-ordered ids are case-insensitive. A
 * position has the time of its batch's key, and a kind that of its id.
 */
export function requestIdOf(deps: Deps<'keyring'>, accountId: string, name: RequestName): RequestId {
  const [text, ...position] = typeof name === 'string' ? [name] : name
  const lower = text.toLowerCase()
  const time = timeIn(lower)
  const parts = [accountId, time === 0 ? text : lower, ...position.map(String)]
  const [first, ...others] = deps.keyring.macs('mac:request', ...parts)
  const head = time === 0 ? Buffer.of(UNTIMED) : timeBytes(time)
  const entry = (mac: Buffer) => Buffer.concat([head, mac], TIME_BYTES + MAC_BYTES)
  return { time, entries: [entry(first), ...others.map(entry)] }
}

/**
 * The id of a request, which may send it in the body, in the header or in both.
 * @throws DomainError `invalid_request` if the two differ
 */
export function agreedId(inBody: string | undefined, inHeader: string | undefined): string | undefined {
  if (inBody !== undefined && inHeader !== undefined && inBody !== inHeader) {
    const message = 'differs from the Idempotency-Key header; send only one'
    throw new DomainError('invalid_request', { fields: [{ field: 'requestId', message }] })
  }
  return inBody ?? inHeader
}

function timeIn(lower: string): number {
  const time = idTimeAt(millisecondsIn(lower) ?? 0)
  return time >= FIRST_TIME && time <= LAST_TIME ? time : 0
}

function millisecondsIn(lower: string): number | undefined {
  if (UUID_V7.test(lower)) return Number.parseInt(lower.slice(0, 8) + lower.slice(9, 13), 16)
  if (!ULID.test(lower)) return undefined
  return [...lower.slice(0, 10)].reduce((sum, digit) => sum * 32 + CROCKFORD.indexOf(digit), 0)
}

function timeBytes(time: number): Buffer {
  const bytes = Buffer.alloc(TIME_BYTES)
  bytes.writeUIntBE(time, 0, TIME_BYTES)
  return bytes
}

/** The ring entry that makes a batch's archive item valid. `span` is at most 3, `nonce` is 5 bytes in hex. */
export const batchEntry = (span: number, time: number, nonce: string): Buffer =>
  Buffer.concat([Buffer.of(BATCH + span), timeBytes(time), Buffer.from(nonce, 'hex')])

/** An entry of the ring by kind. */
export type Entry =
  | { kind: 'untimed'; bytes: Buffer }
  | { kind: 'timed'; bytes: Buffer; time: number }
  | { kind: 'batch'; bytes: Buffer; span: number; time: number; nonce: string }

export function readEntry(stored: Uint8Array): Entry {
  const bytes = Buffer.from(stored)
  const [first = UNTIMED] = bytes
  if (first === UNTIMED) return { kind: 'untimed', bytes }
  if (first < BATCH) return { kind: 'timed', bytes, time: bytes.readUIntBE(0, TIME_BYTES) }
  const time = bytes.readUIntBE(1, TIME_BYTES)
  return { kind: 'batch', bytes, span: first - BATCH, time, nonce: bytes.toString('hex', 1 + TIME_BYTES) }
}

/** The MAC in a timed entry. An archive item of many ids stores only this part of each entry. */
export const macOf = (entry: Buffer): Buffer => entry.subarray(TIME_BYTES)
