import type { AdminKey } from '../../core/operators/admin-keys.ts'
import { isoTime, timeOrNull } from './time-shapes.ts'

export const adminKeyShape = ({ name, role, last4, createdAtMs, revokedAtMs }: AdminKey) => ({
  name,
  role,
  last4,
  createdAt: isoTime(createdAtMs),
  revokedAt: timeOrNull(revokedAtMs),
})
