import type { Profile } from '../account/account.ts'

/**
 * Where an account stands, in the words of operators.
 * - `pending`: about to be removed, because nobody has confirmed its address in time or its owner has taken it
 * - `unconfirmed`: nobody has confirmed its address yet
 * - `closing`: its owner, or an operator, has deleted it, and it will be erased
 */
export const standings = [
  ...(['active', 'unconfirmed', 'pending', 'suspended', 'deactivated', 'closing', 'erased'] as const),
] as const

export type Standing = (typeof standings)[number]

type Stands = Pick<Profile, 'status' | 'emailVerified' | 'eraseAtMs'>

export function standingOf({ status, emailVerified, eraseAtMs }: Stands): Standing {
  if (status === 'active' && !emailVerified) return 'unconfirmed'
  return status === 'deactivated' && eraseAtMs !== undefined ? 'closing' : status
}

/** The status of the accounts that stand so, which is the list that has them. */
export const statusOf: Readonly<Record<Standing, Profile['status']>> = {
  active: 'active',
  unconfirmed: 'active',
  pending: 'pending',
  suspended: 'suspended',
  deactivated: 'deactivated',
  closing: 'deactivated',
  erased: 'erased',
}
