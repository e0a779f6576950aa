import { isIP } from 'node:net'
import { DomainError, type FieldError } from '../../core/errors.ts'
import type { CustomerAnswer, CustomerRequest } from '../../core/quota/batch-customers.ts'
import type { BatchAnswer } from '../../core/quota/batch-group.ts'
import type { NamedAccount, SentKey } from '../../core/quota/key-caller.ts'
import { batchAnswer } from './batch-shapes.ts'
import { problems, retryAfterOf } from './problems.ts'

/** Whose units a request is about. Without `ip` if a service has not said from where they use them. */
export type Customer = SentKey | NamedAccount

/** A customer as a service names them. */
export interface NamedCustomer {
  key?: string | undefined
  account?: string | undefined
  ip?: string | undefined
}

/** Whoever sends a request with an application key, or with the credential of a service. */
export type KeyCallers =
  | { service: undefined; key: Customer }
  /** `service` is its name. `key` is undefined only for a row with `customers: 'each'` whose headers name nobody. */
  | { service: string; key: Customer | undefined }

/** Only a service is believed about a customer: a customer's own key speaks for itself. */
export const ONLY_SERVICES = 'is for the credential of a service; an application key names its own account'

/** A request of a batch as it is sent. */
interface SentRequest extends NamedCustomer {
  units: number
  tag?: string | undefined
  requestId?: string | undefined
}

/**
 * The requests of a batch with their customers. A request without an id of its own is named by the batch's
 * Idempotency-Key and by its place.
 * @throws DomainError `invalid_request`
 */
export function batchRequests(
  callers: KeyCallers,
  sent: { requests: readonly SentRequest[]; tag?: string | undefined; requires?: string[] | undefined },
  batchKey: string | undefined,
): CustomerRequest[] {
  const customers = customersOfEach(callers, sent.requests)
  return sent.requests.map(({ units, tag = sent.tag, requestId }, at) => ({
    units,
    tag,
    requestId: requestId ?? (batchKey === undefined ? undefined : ([batchKey, at] as const)),
    customer: { ...(customers[at] as Customer), requires: sent.requires },
  }))
}

/** The answers to the requests of a batch, and whether each of them is that of an earlier copy. */
export function batchAnswers(sent: readonly SentRequest[], all: readonly (BatchAnswer | CustomerAnswer)[]) {
  const answers = all.map((answer, at) => customerAnswer(sent[at]?.requestId, answer))
  return { answers, replayed: answers.every((answer) => 'replayed' in answer && answer.replayed === true) }
}

/**
 * The customer of each request of a batch: the one whom the request names, or else whoever is known from the headers.
 * The network address in the headers is that of the customer there, so it counts for nobody else.
 * @throws DomainError `invalid_request` for requests without a customer, and with one that no service has named
 */
function customersOfEach({ key, service }: KeyCallers, named: readonly NamedCustomer[]) {
  const faults: FieldError[] = []
  const customers = named.map((each, at) => {
    const path = (name: string) => `requests.${at}.${name}`
    const given = (['key', 'account', 'ip'] as const).filter((name) => each[name] !== undefined)
    if (service === undefined)
      faults.push(...given.map((name) => ({ field: path(name), message: ONLY_SERVICES })))
    else faults.push(...faultsOf(each, path, key !== undefined))
    return customerOf(each) ?? (key && { ...key, ip: each.ip ?? key.ip })
  })
  refuse(faults)
  return customers
}

/** The customer whom a service has named; undefined if it has named nobody. */
export function customerOf({ key, account, ip }: NamedCustomer): Customer | undefined {
  if (key !== undefined) return { text: key, ip }
  return account === undefined ? undefined : { accountId: account, ip }
}

/** @param path gives a field of the customer its place in the request. */
export function faultsOf(
  { key, account, ip }: NamedCustomer,
  path: (name: string) => string,
  isOptional: boolean,
): FieldError[] {
  const faults: FieldError[] = []
  if (key !== undefined && account !== undefined)
    faults.push({
      field: path('account'),
      message: `cannot come with ${path('key')}: name the customer once`,
    })
  if (key === undefined && account === undefined && !isOptional)
    faults.push({
      field: path('key'),
      message: `is required from a service: the customer's key here, or their account id as ${path('account')}`,
    })
  if (ip !== undefined && isIP(ip) === 0)
    faults.push({ field: path('ip'), message: 'must be an IPv4 or IPv6 address' })
  return faults
}

/** Most refused fields that an answer shows. */
const FIELDS_SHOWN = 20

export function refuse(fields: FieldError[]): void {
  if (fields.length > 0) throw new DomainError('invalid_request', { fields: fields.slice(0, FIELDS_SHOWN) })
}

/** The answer to one request of a service's batch, whose customer may be refused. */
function customerAnswer(requestId: string | undefined, answer: BatchAnswer | CustomerAnswer) {
  if (!(answer instanceof DomainError)) return batchAnswer(requestId, answer)
  const { status, detail } = problems[answer.code]
  const retryAfter = retryAfterOf(answer)
  return {
    ...answer.members,
    ...(requestId !== undefined && { requestId }),
    status: status as 401 | 402 | 403 | 404 | 500 | 503,
    type: `urn:bursar:problem:${answer.code}`,
    detail: answer.detail ?? detail,
    ...(retryAfter !== undefined && { retryAfter }),
  }
}
