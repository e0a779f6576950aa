import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { stored } from '../table/stored.ts'
import { credentialFinder } from './credential-cache.ts'
import { SERVICE_TEXT, serviceKey } from './service-text.ts'

const find = credentialFinder(SERVICE_TEXT, serviceKey, (item) => stored(item, 'name', 'string'))

/**
 * Finds the service that a credential belongs to.
 * @returns the service's name
 * @throws DomainError `service_refused` for a credential that is unknown or was revoked, `temporarily_unavailable`
 */
export async function findService(deps: Deps<'table' | 'keyring'>, credential: string): Promise<string> {
  const name = await find(deps, credential)
  if (name === undefined) throw new DomainError('service_refused')
  return name
}
