import type { Reported } from '../../core/quota/report-lease.ts'
import type { Reserved } from '../../core/quota/reserve.ts'
import { isoTime } from './time-shapes.ts'

/** How long a reservation or a lease lives unless its request says otherwise, seconds. */
export const DEFAULT_TTL_SECONDS = 300

/** A reservation as whoever made it is told. A repeat whose reservation has ended has neither units nor time. */
export const reservationShape = ({ units, expiresAtMs, ...rest }: Reserved) => ({
  ...rest,
  ...(units !== undefined && { units }),
  ...expiryOf(expiresAtMs),
})

/** A lease as whoever made or renewed it is told. One that has ended has 0 units and no time. */
export const leaseShape = <T extends Reserved | Reported>({ units = 0, expiresAtMs, ...rest }: T) => ({
  ...rest,
  units,
  ...expiryOf(expiresAtMs),
})

const expiryOf = (expiresAtMs: number | undefined) =>
  expiresAtMs === undefined ? {} : { expiresAt: isoTime(expiresAtMs) }
