import type { Reserved } from '../../core/quota/reserve.ts'
import { isoTime } from './time-shapes.ts'

/** A reservation as whoever made it is told. A repeat whose reservation has ended has neither units nor time. */
export const reservationShape = ({ units, expiresAtMs, ...rest }: Reserved) => ({
  ...rest,
  ...(units !== undefined && { units }),
  ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
})
