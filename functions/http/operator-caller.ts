import type { Claims, SessionCaller } from '../../core/account/account.ts'
import { DomainError } from '../../core/errors.ts'
import { operatorByAccount } from '../../core/operators/accounts.ts'
import { nameOfPrincipal, type Operator } from '../../core/operators/operator.ts'
import type { Deps } from '../../core/ports.ts'
import { gate } from './gate.ts'
import type { Placed } from './route.ts'

/** What API Gateway knows of the AWS principal that has signed a request. */
export interface Signer {
  userArn: string
}

/** An operator, with their session if they use the console. */
export interface OperatorCaller {
  operator: Operator
  session?: SessionCaller
}

/**
 * Reads which operator sends a request: a principal whose path IAM has admitted, and with it the role; or, on the routes
 * of the console, an account. Bundles of rows for others leave this function out.
 * @throws DomainError as `gate` and `operatorByAccount` do, and `unauthorized` for a request that API Gateway has not
 *   checked, which only a wrong deployment lets through
 */
export async function operatorCaller(
  row: Placed,
  deps: unknown,
  { iam, lambda }: { iam?: Signer; lambda?: Claims } = {},
): Promise<OperatorCaller> {
  if (row.auth !== 'operator') throw new DomainError('unauthorized')
  if (iam) return { operator: { name: nameOfPrincipal(iam.userArn), role: row.role } }
  const { refusal, ...session } = await gate(row, deps, lambda)
  if (refusal) throw refusal
  return { operator: await operatorByAccount(deps as Deps<'table'>, session, row.role), session }
}
