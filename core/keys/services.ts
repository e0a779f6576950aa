import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { ConditionFailed } from '../table/table.ts'
import {
  addCredential,
  type CredentialKind,
  credentialMembers,
  listCredentials,
  type NamedCredential,
  revokeCredential,
} from './named-credentials.ts'
import { SERVICE_TEXT, serviceKey } from './service-text.ts'

/*
 * The operator's own services spend, check and reserve units for many customers with one credential each.
 */

type ServiceDeps = Deps<'table' | 'keyring'>

/** What a credential permits. More will come; a request with one of today's may do what `meter` says. */
const SCOPES = ['meter']

/** A service as its list shows it. */
export interface Service extends NamedCredential {
  scopes: string[]
}

const serviceSchema = z.object({ ...credentialMembers, scopes: z.array(z.string()) })

const SERVICE: CredentialKind<Service> = {
  text: SERVICE_TEXT,
  what: 'service',
  list: 'SERVICES',
  prefix: 'SERVICE#',
  lookupKey: serviceKey,
  parse: (item) => z.parse(serviceSchema, item),
}

/**
 * Makes a service with a credential, whose text cannot be read again later.
 * @param name in the form of `serviceName`
 * @throws DomainError `service_exists` if the name belongs to a live credential
 */
export async function addService(
  deps: ServiceDeps,
  name: string,
  reason?: string,
): Promise<{ service: Service; credential: string }> {
  const audited = { action: 'operator.service_added', reason, after: { service: name } } as const
  try {
    const { added, credential } = await addCredential(deps, SERVICE, { name, scopes: SCOPES }, audited)
    return { service: added, credential }
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    throw new DomainError('service_exists', {
      detail: `A service named ${name} has a live credential. Choose another name, such as ${name}-2, or revoke ${name} first.`,
    })
  }
}

/** All services, those that were revoked too, by name. */
export const listServices = (deps: Deps<'table'>): Promise<Service[]> => listCredentials(deps, SERVICE)

/**
 * Revokes a service's credential for good. Requests with it are refused within `REMEMBERED_MS`.
 * @returns the service; one that was revoked before is returned as it is
 * @throws DomainError `not_found` for an unknown name
 */
export async function revokeService(deps: ServiceDeps, name: string, reason?: string): Promise<Service> {
  const audited = { action: 'operator.service_revoked', reason, before: { service: name } } as const
  const service = await revokeCredential(deps, SERVICE, name, audited)
  if (!service) throw new DomainError('not_found', { detail: 'There is no service of this name.' })
  return service
}
