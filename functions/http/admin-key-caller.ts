import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import { DomainError } from '../../core/errors.ts'
import { operatorByAdminKey } from '../../core/operators/admin-key-caller.ts'
import type { Operator } from '../../core/operators/operator.ts'
import type { Deps } from '../../core/ports.ts'
import type { Placed } from './route.ts'

/**
 * Reads which operator sends a request to a row with `auth: 'admin-key'`, by the header `Api-Key`. Bundles of other rows
 * leave this function out.
 * @throws DomainError `admin_key_refused` without a key, and as `operatorByAdminKey` does
 */
export async function adminKeyCaller(
  row: Placed,
  deps: Deps<'table' | 'keyring'>,
  { 'api-key': key }: APIGatewayProxyEventV2['headers'],
): Promise<Operator> {
  if (row.auth !== 'admin-key' || key === undefined) throw new DomainError('admin_key_refused')
  return operatorByAdminKey(deps, key, row.role)
}
