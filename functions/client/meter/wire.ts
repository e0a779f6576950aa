import type {
  Allowed,
  Balance,
  Decision,
  Refused,
  SpenderTools,
  SpendRequest,
  WireAnswer,
  WireRequest,
} from './spender.ts'
import { codeOf } from './transport.ts'

/** Most requests of a batch. */
export const BATCH_MOST = 100

/** A request with the id under which it is sent, however often. */
export interface NamedRequest {
  request: SpendRequest
  id: string
}

/** One answer of a batch, as far as the meter reads it. */
export interface BatchPart {
  requestId?: string | undefined
  status?: number
  type?: string | undefined
}

type Spending = Pick<SpenderTools, 'call' | 'byService' | 'measure'>
type When = Pick<WireRequest, 'deadlineMs' | 'onSlow'>

/** Bursar's code for a service credential that does not work. */
export const CREDENTIAL_REFUSED = 'service_refused'

const STATUSES: readonly number[] = [401, 402, 403, 429]

/**
 * Spends up to 100 requests, all of the same customer unless there is a service credential, with the same `requires`.
 * @returns a decision for each request; undefined where nobody knows whether its units were taken. Never rejects.
 */
export async function sendSpends(
  tools: Spending,
  requests: readonly NamedRequest[],
  { isAgain, ...when }: When & { isAgain?: true },
): Promise<(Decision | undefined)[]> {
  const [first] = requests
  if (first === undefined) return []
  const { byService } = tools
  tools.measure('batch', requests.length)
  if (requests.length === 1) return [await sendOne(tools, first, when)]

  const { requires } = first.request
  const body = {
    requests: requests.map(({ request, id }) => ({
      ...members(request, id),
      ...(byService && { key: request.key, ...(request.ip !== undefined && { ip: request.ip }) }),
    })),
    ...(requires !== undefined && requires.length > 0 && { requires }),
  }
  const key = byService ? undefined : first.request.key
  const answer = await tools.call({ path: '/v1/usage/batch', key, body, ...when })
  if (answer === undefined) return requests.map(() => undefined)
  if (answer.status === 200)
    return tellMissing(tools, requests, partDecisions(requests, answer), {
      ...when,
      ...(isAgain && { isAgain }),
    })
  if (STATUSES.includes(answer.status)) {
    return requests.map(({ request }) => refusal(answer, request.units))
  }
  // A request that Bursar does not understand must not take the others down with it.
  const middle = Math.ceil(requests.length / 2)
  const halves = [requests.slice(0, middle), requests.slice(middle)]
  return (await Promise.all(halves.map((half) => sendSpends(tools, half, when)))).flat()
}

/** Sends the requests once more to which a batch has no answer. A second batch without an answer says nothing. */
async function tellMissing(
  tools: Spending,
  requests: readonly NamedRequest[],
  decisions: readonly (Decision | undefined)[],
  when: When & { isAgain?: true },
): Promise<(Decision | undefined)[]> {
  const missing = requests.filter((_, at) => decisions[at] === undefined)
  if (missing.length === 0 || when.isAgain) return [...decisions]
  const again = await sendSpends(tools, missing, { ...when, isAgain: true })
  return decisions.map((decision, at) => decision ?? again[missing.indexOf(requests[at] as NamedRequest)])
}

async function sendOne(
  { call }: Spending,
  { request, id }: NamedRequest,
  when: When,
): Promise<Decision | undefined> {
  const { key, ip, requires, units } = request
  const body = { ...members(request, id), ...(requires?.length && { requires }) }
  const answer = await call({ path: '/v1/usage', key, ip, body, ...when })
  if (answer === undefined) return undefined
  if (answer.status === 200) return allowance(answer.body, answer, units === 0 ? undefined : id)
  return STATUSES.includes(answer.status) ? refusal(answer, units) : refusedRequest(answer)
}

/** A check has no id, as there is nothing to repeat. */
const members = ({ units, tag }: SpendRequest, id: string) => ({
  units,
  ...(units > 0 && { requestId: id }),
  ...(tag !== undefined && { tag }),
})

/** The answers of a batch come in the order of its requests. Answers that do not fit say nothing. */
function partDecisions(requests: readonly NamedRequest[], { body }: WireAnswer): (Decision | undefined)[] {
  const { answers, ...spender } = body
  // Whatever else answers may put anything into its parts, such as null.
  const parts: (BatchPart | null)[] =
    Array.isArray(answers) && answers.length === requests.length ? answers : []
  return requests.map(({ request, id }, at) => {
    const { status, type, ...rest } = parts[at] ?? ({} as BatchPart)
    if (request.units > 0 && rest.requestId !== id) return undefined
    const told = { ...spender, ...rest }
    if (status === 200) return allowance(told, {}, request.units === 0 ? undefined : id)
    if (status === undefined || !STATUSES.includes(status)) return undefined
    const code = codeOf(type)
    return refusal({ status, body: told, ...(code !== undefined && { code }) }, request.units)
  })
}

/** Every success tells what is left. What does not is something else that answers 200, and has spent nothing. */
function allowance(
  body: Record<string, unknown>,
  answer: Pick<WireAnswer, 'rateLimit' | 'rateLimitPolicy'>,
  requestId: string | undefined,
): Allowed | undefined {
  if (numberIn(body, 'left') === undefined) return undefined
  return {
    allowed: true,
    ...balance(body, answer),
    ...(requestId !== undefined && { requestId }),
    ...(body.replayed === true && { replayed: true }),
  }
}

function refusal(answer: WireAnswer, units: number): Refused {
  const { status, body, code = 'refused', retryAfterSeconds = numberIn(body, 'retryAfter') } = answer
  if (code === CREDENTIAL_REFUSED) return refusedRequest(answer)
  return {
    allowed: false,
    status: status as Refused['status'],
    code,
    ...balance(body, answer),
    ...(typeof body.detail === 'string' && { detail: body.detail }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(status === 402 && { needed: numberIn(body, 'needed') ?? units }),
    ...(typeof body.refill === 'string' && { refill: body.refill }),
  }
}

/** Bursar refuses the service and not the customer, so nothing was spent. It is the service that has to change. */
export const refusedRequest = ({ body, code = 'refused' }: WireAnswer): Refused => ({
  allowed: false,
  status: 503,
  code,
  detail: [body.detail, body.errors && JSON.stringify(body.errors)].filter(Boolean).join(' '),
})

const numberIn = (body: Record<string, unknown>, name: string): number | undefined =>
  typeof body[name] === 'number' ? body[name] : undefined

/** What an answer tells about the customer. */
export function balance(
  body: Record<string, unknown>,
  { rateLimit, rateLimitPolicy }: Pick<WireAnswer, 'rateLimit' | 'rateLimitPolicy'> = {},
): Balance {
  const [left, used, keyLeft] = [numberIn(body, 'left'), numberIn(body, 'used'), numberIn(body, 'keyLeft')]
  return {
    ...(left !== undefined && { left }),
    ...(used !== undefined && { used }),
    ...(typeof body.account === 'string' && { account: body.account }),
    ...(isKey(body.key) && { key: body.key }),
    ...((keyLeft !== undefined || body.keyLeft === null) && { keyLeft: keyLeft ?? null }),
    ...(rateLimit !== undefined && { rateLimit }),
    ...(rateLimitPolicy !== undefined && { rateLimitPolicy }),
  }
}

function isKey(value: unknown): value is NonNullable<Balance['key']> {
  const { id, scopes = [] } = (value ?? {}) as { id?: unknown; scopes?: unknown }
  return typeof id === 'string' && Array.isArray(scopes)
}

/** The refusal of a reservation, which is answered like a spend. */
export const refusedReservation = (answer: WireAnswer, units: number): Refused =>
  STATUSES.includes(answer.status) ? refusal(answer, units) : refusedRequest(answer)
