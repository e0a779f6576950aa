import { DomainError } from '../../core/errors.ts'
import { nameOfPrincipal, type Operator } from '../../core/operators/operator.ts'
import type { Placed } from './route.ts'

/** What API Gateway knows of the AWS principal that has signed a request. */
export interface Signer {
  userArn: string
}

/**
 * Reads which operator sends a request. IAM has admitted the path, and with it the role. Bundles of rows for others
 * leave this function out.
 * @throws DomainError `unauthorized` for a request that API Gateway has not checked, which only a wrong deployment
 *   lets through
 */
export function operatorCaller(row: Placed, signer: Signer | undefined): Operator {
  if (!signer || row.auth !== 'operator') throw new DomainError('unauthorized')
  return { name: nameOfPrincipal(signer.userArn), role: row.role }
}
