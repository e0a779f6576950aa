import type { Account } from '../../core/account/account.ts'
import { timeOrNull } from './time-shapes.ts'

/** Where an account stands, after an operator has changed that. */
export const standingOf = ({ id, status, eraseAtMs }: Account) => ({
  id,
  // Of an account that an operator can change, the status is one of these.
  status: status as 'active' | 'suspended' | 'deactivated',
  eraseAt: timeOrNull(eraseAtMs),
})
