import { type Account, admitCaller, type Claims } from '../../core/account/account.ts'
import { DomainError } from '../../core/errors.ts'
import type { Deps } from '../../core/ports.ts'
import type { Placed } from './route.ts'

/**
 * The account behind an access token, read now: that the authorizer let the token in says nothing of today. Bundles
 * of functions without callers are built without it.
 * @throws DomainError as `admit` does, and `unauthorized` where the authorizer said nothing.
 */
export async function gate(row: Placed, deps: unknown, claims: Claims | undefined): Promise<Account> {
  if (!claims) throw new DomainError('unauthorized')
  if (!row.needs.includes('table')) throw new Error(`${row.name} has callers but no table to look them up in`)
  return admitCaller(deps as Deps<'table'>, claims)
}
