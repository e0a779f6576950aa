import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import { DomainError } from '../../core/errors.ts'
import { findService } from '../../core/keys/service-caller.ts'
import { looksLikeService } from '../../core/keys/service-text.ts'
import type { Deps } from '../../core/ports.ts'
import { requireKey } from '../../core/quota/require-key.ts'
import {
  customerOf,
  faultsOf,
  type KeyCallers,
  type NamedCustomer,
  ONLY_SERVICES,
  refuse,
} from './customers.ts'

type Headers = APIGatewayProxyEventV2['headers']

/**
 * Headers in which a service names its customer. They are headers because a GET and a DELETE have no body, and one way
 * serves all rows.
 */
export const CUSTOMER_HEADERS = {
  'x-bursar-key': 'key',
  'x-bursar-account': 'account',
  'x-bursar-ip': 'ip',
} as const

/** Whoever sends a request, and what checks their key before they learn what is wrong with the request. */
type Checkable = KeyCallers & { check: () => Promise<void> }

/**
 * Reads who sends a request to a row with `auth: 'key'`, and whom a service has named. Whether a key is live, the domain
 * call finds out, or `check` for a request that never gets there.
 * @param address the network address that the request came from
 * @throws DomainError `unauthorized` without a key, `service_refused` for a credential that is unknown or was revoked,
 *   `invalid_request` if a service names nobody or a customer's key comes with a name, `temporarily_unavailable`
 */
export async function keyCaller(
  deps: Deps<'table' | 'keyring'>,
  headers: Headers,
  address: string,
  isNameOptional: boolean,
): Promise<Checkable> {
  const sent = applicationKey(headers)
  const named = Object.entries(CUSTOMER_HEADERS).filter(([header]) => headers[header] !== undefined)
  if (!looksLikeService(sent)) {
    const key = { text: sent, ip: address }
    const check = () => requireKey(deps, key)
    if (named.length > 0) await check()
    refuse(named.map(([field]) => ({ field, message: ONLY_SERVICES })))
    return { key, service: undefined, check }
  }
  const service = await findService(deps, sent)
  const customer = Object.fromEntries(named.map(([header, name]) => [name, headers[header]])) as NamedCustomer
  // An address that belongs to nobody would be ignored.
  const isOptional = isNameOptional && customer.ip === undefined
  refuse(faultsOf(customer, (name) => `x-bursar-${name}`, isOptional))
  return { key: customerOf(customer), service, check: async () => undefined }
}

/**
 * Reads a bearer token (RFC 6750) or `x-api-key`.
 * @throws DomainError `unauthorized`, also if they differ.
 */
function applicationKey({ authorization, 'x-api-key': plain }: Headers): string {
  const bearer = authorization === undefined ? undefined : /^bearer +(\S+)$/i.exec(authorization)?.[1]
  const key = bearer ?? plain
  const contradicts = authorization !== undefined && plain !== undefined && bearer !== plain
  if (!key || contradicts || (authorization !== undefined && !bearer)) {
    throw new DomainError('unauthorized', { detail: 'Send an application key.' })
  }
  return key
}
