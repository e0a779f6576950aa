import type * as z from 'zod/mini'
import type { v1 } from '../../v1/routes.ts'
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

type Body = z.output<(typeof v1)['consumeBatch']['responses'][200]>
/** An answer of a batch: each customer's requests may be refused on their own. */
type Part = Omit<Partial<Body['answers'][number]>, 'status' | 'type'> & { status?: number; type?: string }
type Spending = Pick<SpenderTools, 'call' | 'named' | 'measure'>
type When = Pick<WireRequest, 'deadlineMs' | 'onSlow'>

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
  const { named } = tools
  const byService = named(first.request.key).key !== undefined
  tools.measure('batch', requests.length)
  // A batch of one shows a refused customer apart from a refused credential; a customer's own key needs no such proof.
  if (requests.length === 1 && !byService) return [await sendOne(tools, first, when)]

  const { requires } = first.request
  const body = {
    requests: requests.map(({ request, id }) => ({
      ...named(request.key),
      ...members(request, id, byService),
    })),
    ...(requires !== undefined && requires.length > 0 && { requires }),
  }
  const answer = await tools.call({ path: '/v1/usage/batch', key: first.request.key, body, ...when })
  if (answer === undefined) return requests.map(() => undefined)
  if (answer.status === 200)
    return tellMissing(tools, requests, partDecisions(requests, answer), {
      ...when,
      ...(isAgain && { isAgain }),
    })
  if (STATUSES.includes(answer.status)) {
    const refused = byService ? refusedCredential(answer) : refusal(answer, first.request.units)
    return requests.map(({ request }) => ({
      ...refused,
      ...(refused.status === 402 && { needed: request.units }),
    }))
  }
  // A request that Bursar does not understand must not take the others down with it.
  if (requests.length === 1) return [refusedRequest(answer)]
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
  const { key, requires, units } = request
  const body = { ...members(request, id, false), ...(requires?.length && { requires }) }
  const answer = await call({ path: '/v1/usage', key, body, ...when })
  if (answer === undefined) return undefined
  if (answer.status === 200) return allowance(answer.body, answer, units === 0 ? undefined : id)
  return STATUSES.includes(answer.status) ? refusal(answer, units) : refusedRequest(answer)
}

/** A check has no id, as there is nothing to repeat. */
const members = ({ units, tag, ip }: SpendRequest, id: string, byService: boolean) => ({
  units,
  ...(units > 0 && { requestId: id }),
  ...(tag !== undefined && { tag }),
  ...(byService && ip !== undefined && { ip }),
})

/** The answers of a batch come in the order of its requests. Answers that do not fit say nothing. */
function partDecisions(requests: readonly NamedRequest[], { body }: WireAnswer): (Decision | undefined)[] {
  const { answers, ...spender } = body
  const parts: Part[] = Array.isArray(answers) && answers.length === requests.length ? answers : []
  return requests.map(({ request, id }, at) => {
    const part = parts[at]
    if (part === undefined || (request.units > 0 && part.requestId !== id)) return undefined
    const { status, type, ...rest } = part
    const told = { ...spender, ...rest }
    if (status === 200) return allowance(told, {}, request.units === 0 ? undefined : id)
    if (status === undefined || !STATUSES.includes(status)) return undefined
    const code = codeOf(type)
    return refusal({ status, body: told, ...(code !== undefined && { code }) }, request.units)
  })
}

function allowance(
  body: Record<string, unknown>,
  answer: Pick<WireAnswer, 'rateLimit' | 'rateLimitPolicy'>,
  requestId: string | undefined,
): Allowed {
  return { allowed: true, ...balance(body, answer), ...(requestId !== undefined && { requestId }) }
}

function refusal(answer: WireAnswer, units: number): Refused {
  const { status, body, code = 'refused', retryAfterSeconds = numberIn(body, 'retryAfterSeconds') } = answer
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

/** The service's own credential does not work: the customer can do nothing about it. */
const refusedCredential = ({ body }: WireAnswer): Refused => ({
  allowed: false,
  status: 503,
  code: 'credential_refused',
  ...(typeof body.detail === 'string' && { detail: body.detail }),
})

/** Bursar does not understand the request, so nothing was spent. It is the service that has to change. */
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
    ...(typeof body.key === 'object' &&
      body.key !== null && { key: body.key as NonNullable<Balance['key']> }),
    ...((keyLeft !== undefined || body.keyLeft === null) && { keyLeft: keyLeft ?? null }),
    ...(rateLimit !== undefined && { rateLimit }),
    ...(rateLimitPolicy !== undefined && { rateLimitPolicy }),
  }
}

/** The refusal of a reservation, which is answered like a spend. */
export const refusedReservation = (answer: WireAnswer, units: number): Refused =>
  STATUSES.includes(answer.status) ? refusal(answer, units) : refusedRequest(answer)
