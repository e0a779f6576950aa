/*
 * An alert tells its owner, once a crossing, that fewer units are left than the owner chose.
 *
 * - The counter stores the alerts in one attribute, `i`, of at most 28 bytes, so that a consume costs what it costs
 *   without them. Their thresholds are steps of the ladder (`thresholds.ts`).
 * - An alert is armed while it may fire. The write that takes the balance below the threshold of an armed alert marks
 *   it as crossed and disarms it. A ledger entry arms it again if the balance is then at or above the threshold. Units
 *   that return from reservations do not, or else a reservation that comes and goes would cause a mail each time.
 * - A crossed alert is handed over to an item of its own (`crossed-alerts.ts`) before anything arms it again, so that
 *   no second crossing can hide behind the first.
 * - Every writer of `i`, and every writer that relies on the ladder, writes on the condition that `i` is as it was
 *   read. The revision grows with each choice of the owner: with the ledger entry and the threshold it names a crossing.
 */

/** Most alerts of an account. */
export const MOST_ALERTS = 5

/** Most units of an alert. Codes above stand for shares, and all codes fit into 30 bits. */
export const MOST_ALERT_UNITS = 1_000_000_000

/** Shares are stored with four decimals, so they are exact to a hundredth of a percent. */
export const SHARES = 10_000

/** Bytes of the header: 13 bits of the revision, 3 of the number of alerts. */
const HEADER_BYTES = 2
const COUNT_BITS = 8
const REVISIONS = 8_192
/** Bytes of an alert: two flags and 30 bits of its code. */
const ALERT_BYTES = 4
const ARMED = 2 ** 31
const CROSSED = 2 ** 30
/** Bytes at the end, while an alert is crossed: time of the last crossing. */
const TIME_BYTES = 6

export interface Alert {
  /** Below 1 a share of the bundle held, from 1 on units. */
  below: number
  /** Whether it fires when the balance falls below its threshold. */
  armed: boolean
  /** Whether the balance has fallen below, and nobody has been told yet. */
  crossed: boolean
}

/** What the attribute `i` holds. */
export interface StoredAlerts {
  /** Grows with each choice of the owner, up to 8,191, and begins again at 0. */
  revision: number
  alerts: readonly Alert[]
  /** Time of the last crossing, epoch ms; 0 while no alert is crossed. */
  crossedAtMs: number
}

const NO_ALERTS: StoredAlerts = { revision: 0, alerts: [], crossedAtMs: 0 }

/** The code of a choice: the units, or a number above all units for a share. */
export const alertCode = (below: number): number =>
  below < 1 ? MOST_ALERT_UNITS + Math.round(below * SHARES) : below

const belowOfCode = (code: number): number =>
  code > MOST_ALERT_UNITS ? (code - MOST_ALERT_UNITS) / SHARES : code

/** Reads the attribute `i`; an account that never chose alerts has none. */
export function readAlerts(bytes: Uint8Array | undefined): StoredAlerts {
  if (!bytes) return NO_ALERTS
  const view = Buffer.from(bytes)
  const header = view.readUInt16BE(0)
  const alerts = Array.from({ length: header % COUNT_BITS }, (_, at): Alert => {
    const word = view.readUInt32BE(HEADER_BYTES + at * ALERT_BYTES)
    const below = belowOfCode(word % CROSSED)
    return { below, armed: word >= ARMED, crossed: word % ARMED >= CROSSED }
  })
  const end = HEADER_BYTES + alerts.length * ALERT_BYTES
  return {
    revision: Math.floor(header / COUNT_BITS),
    alerts,
    crossedAtMs: view.length > end ? view.readUIntBE(end, TIME_BYTES) : 0,
  }
}

function alertBytes({ revision, alerts, crossedAtMs }: StoredAlerts): Buffer {
  const end = HEADER_BYTES + alerts.length * ALERT_BYTES
  const isCrossed = alerts.some(({ crossed }) => crossed)
  const bytes = Buffer.alloc(end + (isCrossed ? TIME_BYTES : 0))
  bytes.writeUInt16BE(revision * COUNT_BITS + alerts.length)
  for (const [at, { below, armed, crossed }] of alerts.entries())
    bytes.writeUInt32BE(
      alertCode(below) + (armed ? ARMED : 0) + (crossed ? CROSSED : 0),
      HEADER_BYTES + at * ALERT_BYTES,
    )
  if (isCrossed) bytes.writeUIntBE(crossedAtMs, end, TIME_BYTES)
  return bytes
}

/** The units of a choice: those of a share are rounded up, and 0 before the first bundle. */
export const unitsOf = (below: number, size: number): number =>
  below < 1 ? Math.ceil((size * Math.round(below * SHARES)) / SHARES) : below

/** The alerts' steps of the ladder, in units. */
export const alertSteps = (bytes: Uint8Array | undefined, size: number): number[] =>
  bytes ? readAlerts(bytes).alerts.map(({ below }) => unitsOf(below, size)) : []

/** A floor of the ladder, and the bundle's size that it depends on. */
interface Rung {
  floor: number
  size: number
}

/**
 * The alerts after a change of the balance: those that are armed and that the balance falls below are crossed.
 * @param arms whether the change arms the alerts that the balance is not below afterwards.
 * @returns undefined if they stay as they are
 */
export function moveAlerts(
  bytes: Uint8Array | undefined,
  from: Rung,
  to: Rung,
  { arms, nowMs }: { arms: boolean; nowMs: number },
): Buffer | undefined {
  if (!bytes) return undefined
  const stored = readAlerts(bytes)
  let isChanged = false
  let { crossedAtMs } = stored
  const alerts = stored.alerts.map((alert): Alert => {
    const isReached = to.floor >= unitsOf(alert.below, to.size)
    if (alert.armed && !isReached && from.floor >= unitsOf(alert.below, from.size)) {
      isChanged = true
      crossedAtMs = nowMs
      return { ...alert, armed: false, crossed: true }
    }
    if (!arms || alert.armed || !isReached) return alert
    isChanged = true
    return { ...alert, armed: true }
  })
  return isChanged ? alertBytes({ ...stored, alerts, crossedAtMs }) : undefined
}

/** The alerts after those that were crossed have been handed over. */
export function clearCrossed(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (!bytes || !isAnyCrossed(bytes)) return bytes
  const stored = readAlerts(bytes)
  return alertBytes({ ...stored, alerts: stored.alerts.map((alert) => ({ ...alert, crossed: false })) })
}

/** Whether an alert is crossed and not handed over. */
export const isAnyCrossed = (bytes: Uint8Array | undefined): boolean =>
  readAlerts(bytes).alerts.some(({ crossed }) => crossed)

/**
 * The alerts that the owner chooses. One that stays keeps its state; a new one is armed if the balance is not below
 * it. None is crossed: they have been handed over.
 * @returns undefined if they are the same
 */
export function chooseAlerts(
  bytes: Uint8Array | undefined,
  chosen: readonly number[],
  balance: number,
  size: number,
): Buffer | undefined {
  const stored = readAlerts(bytes)
  const isSame =
    stored.alerts.length === chosen.length && stored.alerts.every(({ below }, at) => below === chosen[at])
  if (isSame) return undefined
  const alerts = chosen.map((below): Alert => {
    const kept = stored.alerts.find((alert) => alert.below === below)
    return { below, armed: kept ? kept.armed : balance >= unitsOf(below, size), crossed: false }
  })
  return alertBytes({ revision: (stored.revision + 1) % REVISIONS, alerts, crossedAtMs: 0 })
}
