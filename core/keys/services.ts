import * as z from 'zod/mini'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import type { Key } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { newServiceText, serviceHash, serviceKey } from './service-text.ts'

/*
 * The operator's own services spend, check and reserve units for many customers with one credential each.
 *
 * - A service has an item by its name, for the operator's list, and the credential an item by its hash, which a request
 *   reads. A transaction writes both, so a name has at most one live credential.
 * - Revoking removes the item of the hash, and keeps the name with the time. The name may be used again.
 */

type ServiceDeps = Deps<'table' | 'keyring'>

/** What a credential permits. More will come; a request with one of today's may do what `meter` says. */
const SCOPES = ['meter']

const SERVICES = 'SERVICES'
const SERVICE_PREFIX = 'SERVICE#'

const servicesKey = (name: string): Key => ({ pk: SERVICES, sk: SERVICE_PREFIX + name })

const serviceSchema = z.object({
  name: z.string(),
  scopes: z.array(z.string()),
  hash: z.string(),
  last4: z.string(),
  createdAtMs: z.number(),
  revokedAtMs: z.optional(z.number()),
})

/** A service as its list shows it. */
export interface Service {
  name: string
  scopes: string[]
  /** The last characters of the credential, which tell it apart. */
  last4: string
  /** Epoch ms. */
  createdAtMs: number
  /** Epoch ms; undefined while the credential is live. */
  revokedAtMs?: number | undefined
}

const withoutHash = ({ hash: _, ...service }: z.infer<typeof serviceSchema>): Service => service

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
  const credential = newServiceText(deps)
  const hash = serviceHash(deps, credential)
  const createdAtMs = deps.clock.nowMs()
  const service = { name, scopes: SCOPES, last4: credential.slice(-4), createdAtMs }
  try {
    await deps.table.transact([
      {
        put: { ...servicesKey(name), ...service, hash },
        if: expr`attribute_not_exists(pk) OR attribute_exists(#revokedAtMs)`,
      },
      { put: { ...serviceKey(hash), name, scopes: SCOPES }, if: expr`attribute_not_exists(pk)` },
      ...auditWrites(deps, { action: 'operator.service_added', reason, after: { service: name } }),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    throw new DomainError('service_exists', {
      detail: `A service named ${name} has a live credential. Choose another name, such as ${name}-2, or revoke ${name} first.`,
    })
  }
  return { service, credential }
}

/** All services, those that were revoked too, by name. */
export async function listServices(deps: Deps<'table'>): Promise<Service[]> {
  const items = await deps.table.list(SERVICES, SERVICE_PREFIX)
  return items.map((item) => withoutHash(z.parse(serviceSchema, item)))
}

/**
 * Revokes a service's credential for good. Requests with it are refused within `REMEMBERED_MS`.
 * @returns the service; one that was revoked before is returned as it is
 * @throws DomainError `not_found` for an unknown name
 */
export async function revokeService(deps: ServiceDeps, name: string, reason?: string): Promise<Service> {
  const item = await deps.table.get(servicesKey(name))
  if (!item) throw new DomainError('not_found', { detail: 'There is no service of this name.' })
  const { hash, ...service } = z.parse(serviceSchema, item)
  if (service.revokedAtMs !== undefined) return service
  const revokedAtMs = deps.clock.nowMs()
  try {
    await deps.table.transact([
      {
        update: servicesKey(name),
        set: expr`SET #revokedAtMs = ${revokedAtMs}`,
        if: expr`#hash = ${hash} AND attribute_not_exists(#revokedAtMs)`,
      },
      { remove: serviceKey(hash) },
      ...auditWrites(deps, { action: 'operator.service_revoked', reason, before: { service: name } }),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    // Another command has revoked the credential meanwhile, and the name may have a new one.
    return { ...service, revokedAtMs }
  }
  return { ...service, revokedAtMs }
}
