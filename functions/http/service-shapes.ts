import type { Service } from '../../core/keys/services.ts'
import { isoTime } from './time-shapes.ts'

export const serviceShape = ({ name, scopes, last4, createdAtMs, revokedAtMs }: Service) => ({
  name,
  scopes,
  last4,
  createdAt: isoTime(createdAtMs),
  revokedAt: revokedAtMs === undefined ? null : isoTime(revokedAtMs),
})
