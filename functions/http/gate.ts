import { type Caller, type Claims, readCaller } from '../../core/account/account.ts'
import { DomainError } from '../../core/errors.ts'
import type { Deps } from '../../core/ports.ts'
import { isRead, type Placed } from './route.ts'

/**
 * Reads the account behind an access token on every request, because the authorizer's answer may come from a
 * cache. Bundles of functions that take no access token leave this function out.
 * A token that came from an application key is admitted to rows that only read.
 * @throws DomainError as `readCaller` does, and `unauthorized` if the authorizer passed no claims.
 */
export async function gate(row: Placed, deps: unknown, claims: Claims | undefined): Promise<Caller> {
  if (!claims) throw new DomainError('unauthorized')
  if (!row.needs.includes('table'))
    throw new Error(`${row.name} has callers with accounts and must need the table`)
  const { ofKey, ...caller } = await readCaller(deps as Deps<'table'>, claims)
  if (!ofKey) return caller
  return { ...caller, refusal: isRead(row) ? undefined : new DomainError('read_only_token') }
}
