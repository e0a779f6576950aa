import { balanceHeaders, balanceIn, type HttpAnswer, type OwnAnswer, refusalAnswer } from './refusal.ts'
import type { Balance, Decision, Refused, Reservation, Reserved, SpendRequest } from './spender.ts'

/** A request of any framework. */
export interface MeteredRequest<Raw = unknown> {
  method: string
  /** `/reports/7` */
  path: string
  /** By its name in lower case. */
  header(name: string): string | undefined
  /** The customer's address, where the framework knows it. */
  ip?: string | undefined
  /** What the framework calls the request: Hono's context, Express's `req`, Lambda's event. */
  raw: Raw
}

/** What a request costs, and who pays. A rule of a route takes the place of the meter's own, member by member. */
export interface Rule<Raw = unknown> {
  /** 1 by default. A check takes 0: it spends nothing, and refuses as a spend would. */
  units?: number | ((request: MeteredRequest<Raw>) => number | Promise<number>)
  /** For the customer's report of use: 1 to 64 visible ASCII characters. Never text that the customer chose. */
  tag?: string | ((request: MeteredRequest<Raw>) => string | undefined)
  /** Scopes that the key must have; else 403. */
  requires?: readonly string[]
  /** `x-api-key`, else `Authorization: Bearer`, by default. */
  key?: (request: MeteredRequest<Raw>) => string | undefined
  /**
   * Reserves the units before the work and settles them after the response, so that `metered(…).charge(units)` may say
   * what the work took, and failed work returns its units at once. Costs 2 write units a request and is not grouped; a
   * spend costs 1, and in groups a fraction of that. 300 seconds by default, 3,600 at most.
   */
  reserve?: boolean | { ttlSeconds: number }
  /**
   * Whether work that throws or answers 5xx is free, true by default. Without `reserve` its units stay spent and pay for
   * the customer's next request of the same size and tag, in this process, within an hour.
   */
  giveBack?: boolean
  /** The service's own answers; by default, problem details. */
  answer?: (refused: Refused, request: MeteredRequest<Raw>) => OwnAnswer | undefined
}

/** What a handler sees of its metering. */
export interface Metered extends Balance {
  /** Units taken. */
  units: number
  /** Absent where nothing was spent on the wire. */
  requestId?: string
  /** Bursar did not answer, and `onUnavailable: 'allow'` let the request pass. */
  unavailable?: true
  /**
   * Sets what the work took in all, whole units; the last call counts. What is less than reserved returns; more is taken
   * from what is left, as far as that goes. @throws RangeError without `reserve`, and for what is no number of units
   */
  charge(units: number): void
}

/** What `protect` needs of a meter. */
export interface Taker {
  spend(request: SpendRequest): Decision | Promise<Decision>
  reserve(request: SpendRequest, ttlSeconds: number): Reserved | Promise<Reserved>
  giveBack(request: SpendRequest, allowed: Decision & { allowed: true }): void
}

/** Units that were taken for a request under way. */
export interface Taking {
  metered: Metered
  /** For the response. */
  headers: Record<string, string>
  isReserved: boolean
  /** Ends the taking once; never rejects. */
  end(hasFailed: boolean): Promise<void>
}

export const MOST_UNITS = 1_000_000_000
const DEFAULT_TTL_SECONDS = 300

/**
 * Takes the units of a request before its work.
 * @throws RangeError if the rule gives units or a tag that Bursar does not take: the service has to change
 */
export async function takeUnits<Raw>(
  taker: Taker,
  request: MeteredRequest<Raw>,
  rule: Rule<Raw>,
): Promise<{ refused: HttpAnswer; decision: Refused } | Taking> {
  const refuse = (decision: Refused) => ({
    decision,
    refused: refusalAnswer(decision, rule.answer?.(decision, request)),
  })
  // Before `units`, which may read the whole request.
  const key = rule.key ? rule.key(request) : keyIn(request)
  if (!key) return refuse(KEY_MISSING)
  const spend: SpendRequest = { key, ...(await orderOf(request, rule)) }
  const isReserved = Boolean(rule.reserve) && spend.units > 0
  const ttlSeconds = typeof rule.reserve === 'object' ? rule.reserve.ttlSeconds : DEFAULT_TTL_SECONDS
  const decision = await (isReserved ? taker.reserve(spend, ttlSeconds) : taker.spend(spend))
  if (!decision.allowed) return refuse(decision)

  const { settle } = decision as Partial<Reservation>
  let charged = spend.units
  const metered: Metered = {
    ...balanceIn(decision),
    units: spend.units,
    ...(decision.requestId !== undefined && { requestId: decision.requestId }),
    ...(decision.unavailable && { unavailable: true }),
    charge(units) {
      if (!isReserved) throw new RangeError('`charge` needs a rule with `reserve`.')
      charged = checkedUnits(units)
    },
  }
  let hasEnded = false
  return {
    metered,
    headers: balanceHeaders(decision),
    isReserved,
    async end(hasFailed) {
      if (hasEnded) return
      hasEnded = true
      const isFree = hasFailed && rule.giveBack !== false
      if (settle) await settle(isFree ? 0 : charged)
      else if (isFree && spend.units > 0) taker.giveBack(spend, decision)
    },
  }
}

const KEY_MISSING: Refused = { allowed: false, status: 401, code: 'key_missing' }

/** The part of a request that Bursar learns, besides the key. Its id is none of the customer's headers. */
async function orderOf<Raw>(request: MeteredRequest<Raw>, rule: Rule<Raw>) {
  const { units = 1, tag, requires } = rule
  const given = typeof tag === 'function' ? tag(request) : tag
  return {
    units: checkedUnits(typeof units === 'function' ? await units(request) : units),
    ...(given !== undefined && { tag: given }),
    ...(requires !== undefined && { requires }),
    ...(request.ip !== undefined && { ip: request.ip }),
  }
}

/** `x-api-key` wins, because a service may use `Authorization` for something else. */
function keyIn({ header }: MeteredRequest): string | undefined {
  const [, bearer] = /^bearer +(\S+) *$/i.exec(header('authorization') ?? '') ?? []
  return header('x-api-key')?.trim() || bearer
}

export function checkedUnits(units: number): number {
  if (Number.isInteger(units) && units >= 0 && units <= MOST_UNITS) return units
  throw new RangeError(`Units are a whole number from 0 to ${MOST_UNITS}, not ${units}.`)
}
