import { type Account, admitCaller, type Claims } from '../../core/account/account.ts'
import { DomainError } from '../../core/errors.ts'
import type { Deps } from '../../core/ports.ts'
import type { Placed } from './route.ts'

/**
 * Reads the account of an access token, because the authorizer's answer may be cached. Bundles of functions without
 * callers are built without this module.
 * @throws DomainError as `admitCaller`, and `unauthorized` if the authorizer gave no claims
 */
export async function gate(row: Placed, deps: unknown, claims: Claims | undefined): Promise<Account> {
  if (!claims) throw new DomainError('unauthorized')
  if (!row.needs.includes('table')) throw new Error(`${row.name} has callers but no table to look them up in`)
  return admitCaller(deps as Deps<'table'>, claims)
}
