import type { OperatorAccount } from '../../core/operators/accounts.ts'
import { isoTime, timeOrNull } from './time-shapes.ts'

export const operatorShape = ({ name, accountId, role, addedAtMs, removedAtMs }: OperatorAccount) => ({
  name,
  accountId,
  role,
  addedAt: isoTime(addedAtMs),
  removedAt: timeOrNull(removedAtMs),
})
