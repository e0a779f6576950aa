import { countEvent, type Limited, requireWithinLimit } from '../../core/limits/limits.ts'
import { networkOf } from '../../core/limits/network.ts'
import type { Deps } from '../../core/ports.ts'

/**
 * The guard of rows with `sourceLimit`: counts a request of a public row by the network address that it comes from.
 * The address is not stored and not logged. Bundles of other rows leave this function out.
 * @throws DomainError `too_many_requests` with the seconds until the next request counts
 */
export async function limitSource(deps: unknown, what: Limited, address: string): Promise<void> {
  requireWithinLimit(await countEvent(deps as Deps<'table' | 'keyring'>, networkOf(address), what))
}
