import type { Service } from '../../core/keys/services.ts'
import { isoTime, timeOrNull } from './time-shapes.ts'

export const serviceShape = ({ name, scopes, last4, createdAtMs, revokedAtMs }: Service) => ({
  name,
  scopes,
  last4,
  createdAt: isoTime(createdAtMs),
  revokedAt: timeOrNull(revokedAtMs),
})
