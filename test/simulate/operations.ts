import { DUE_SHARDS } from '../../core/table/keys.ts'
import { type Cost, withSourceCount } from '../conformance/costs.ts'
import { CUSTOMER_COSTS } from '../conformance/customer-costs.ts'
import { latency } from './assumptions.ts'
import { MEASURED } from './measured-costs.ts'

/**
 * Write units by the place that takes them: a kind of due work (`due MAIL`, in the index's shards), a list of accounts
 * (`listed active`), the totals. Keys of which an account has its own are no places.
 */
export type Places = Record<string, number>

/** Something that happens in a month, with all that it costs. */
export interface Operation {
  cost: Cost
  /** Requests at the gateway. */
  requests: number
  /** Runs of functions that no request starts. */
  runs: number
  places: Places
  /** How long its function runs, seconds. */
  seconds: number
}

const pinned = (route: keyof typeof CUSTOMER_COSTS): Cost =>
  withSourceCount(route.replace(/,.*/, ''), CUSTOMER_COSTS[route])

/** How long the calls of a cost take, seconds. */
function secondsOf({ dynamodb, cognito, mail, kms, lambda, events, stripe }: Cost): number {
  const sum = (calls: Record<string, number> = {}) => Object.values(calls).reduce((a, b) => a + b, 0)
  const table = Object.entries(dynamodb).map(
    ([call, count]) => count * latency[call as 'GetItem' | 'PutItem' | 'Query'],
  )
  const others = { cognito, mail, kms, lambda, events, stripe }
  const outside = Object.entries(others).map(
    ([name, calls]) => sum(calls) * latency[name as keyof typeof others],
  )
  return (latency.own + [...table, ...outside].reduce((a, b) => a + b, 0)) / 1000
}

const each = (cost: Cost, count: number): Cost => {
  const part = (calls: Record<string, number> = {}) =>
    Object.fromEntries(Object.entries(calls).map(([name, value]) => [name, value / count]))
  const { readUnits, writeUnits } = cost
  return {
    ...cost,
    dynamodb: part(cost.dynamodb),
    readUnits: readUnits / count,
    writeUnits: writeUnits / count,
  }
}

const request = (cost: Cost, places: Places = {}, requests = 1): Operation => ({
  ...{ cost, requests, places, runs: 0 },
  seconds: secondsOf(cost),
})
const run = (cost: Cost, places: Places = {}): Operation => ({
  ...{ cost, places, requests: 0, runs: 1 },
  seconds: secondsOf(cost),
})
/** Part of a run that does many. */
const work = (cost: Cost, places: Places = {}): Operation => ({ ...run(cost, places), runs: 0 })

/** A job that has found work looks at all shards again. */
export const LOOK: Cost = { dynamodb: { Query: DUE_SHARDS }, readUnits: DUE_SHARDS / 2, writeUnits: 0 }

/** A run that publishes events reads once who gets them. */
export const READ_ENDPOINTS: Cost = { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }

/** What happens in a month. Costs of requests are those that the tests of the rows pin, all others are measured. */
export const OPERATIONS = {
  register: request(pinned('POST /rest/users'), {
    ...{ 'due PENDING': 1, 'due MAIL': 2, 'due EVENT': 1 },
    ...{ 'listed active': 1, 'listed key': 1 },
  }),
  confirm: request(pinned('POST /v1/auth/activate'), { 'due PENDING': 1, 'due EVENT': 1 }),
  // The trigger that makes the token, and the authorizer, once for each token.
  signIn: { ...request(pinned('POST /v1/auth/login')), runs: 2 },
  refresh: { ...request(pinned('POST /v1/auth/refresh')), runs: 2 },
  look: request(pinned('GET /v1/user')),
  seeUse: request(pinned('GET /v1/usage')),
  seeInvoices: request(pinned('GET /v1/invoice/list')),
  askReset: request(pinned('POST /v1/user/resetPassword'), { 'due ASK': 1 }),
  answerReset: work(MEASURED.answerReset.cost, { 'due ASK': 2, 'due MAIL': 3 }),
  reset: request(pinned('PUT /v1/user/resetPassword'), { 'due MAIL': 1, 'due EVENT': 3, 'listed key': 2 }),
  consume: request(each(MEASURED.consumes.cost, MEASURED.consumes.count)),
  batch: request(each(MEASURED.batches.cost, MEASURED.batches.count)),
  /** What the first consume of an account's day costs more. */
  newDay: work(MEASURED.newDay.cost, { 'due USE': 1 }),
  renewLease: request(pinned('POST /v1/usage/leases/{id}/renew')),
  crossLow: work(MEASURED.crossLow.cost, { 'due QUOTA': 1 }),
  crossRenewal: work(MEASURED.crossRenewal.cost, { 'due QUOTA': 1 }),
  buyFirst: request(pinned('POST /v1/user/bundle, first card'), {
    ...{ 'due PURCHASE': 3, 'due PAYMENT': 1, 'due MAIL': 1, 'due EVENT': 4 },
    ...{ 'listed paid': 1, 'listed bundle': 1, 'listed invoice': 1 },
  }),
  renew: run(MEASURED.renew.cost, {
    ...{ 'due QUOTA': 1, 'due PURCHASE': 2, 'due PAYMENT': 1, 'due MAIL': 1, 'due EVENT': 1 },
    ...{ 'listed bundle': 1, 'listed invoice': 1 },
  }),
  tellLow: work(MEASURED.tellLow.cost, { 'due QUOTA': 1, 'due MAIL': 1, 'due EVENT': 1, 'listed low': 1 }),
  webhooksOfFirst: request(MEASURED.webhooksOfFirst.cost, {}, 4),
  webhooksOfRenewal: request(MEASURED.webhooksOfRenewal.cost),
  webhooksOfRefund: request(
    MEASURED.webhooksOfRefund.cost,
    {
      ...{ 'due EVENT': 2, 'due MAIL': 1, 'due QUOTA': 3 },
    },
    3,
  ),
  webhooksOfDispute: request(
    MEASURED.webhooksOfDispute.cost,
    {
      ...{ 'due EVENT': 2, 'due MAIL': 1, 'due QUOTA': 3, 'listed owed': 2 },
    },
    3,
  ),
  sendMail: work(MEASURED.sendMail.cost, { 'due MAIL': 3 }),
  /** Of a mail that its request could not send, and has counted. */
  sendLeftMail: work({ ...MEASURED.sendMail.cost, mail: {} }, { 'due MAIL': 3 }),
  publishNew: work(MEASURED.publishNew.cost, { 'due EVENT': 2, 'due USE': 1, totals: 4 }),
  publishFirst: work(MEASURED.publishFirst.cost, { 'due EVENT': 4, 'listed month': 1, totals: 2 }),
  publishRenewal: work(MEASURED.publishRenewal.cost, { 'due EVENT': 1, 'listed month': 2, totals: 2 }),
  publishLow: work(MEASURED.publishLow.cost, { 'due EVENT': 1 }),
  publishRefund: work(MEASURED.publishRefund.cost, { 'due EVENT': 2, totals: 2 }),
  countUse: work(MEASURED.countUse.cost, { 'due USE': 1, 'listed month': 2, totals: 2 }),
  comparePayment: work(each(MEASURED.comparePayments.cost, MEASURED.comparePayments.count), {
    'due PAYMENT': 1,
  }),
  lookAgain: work(LOOK),
  readEndpoints: work(READ_ENDPOINTS),
  idleMinute: { ...run(MEASURED.idleMinute.cost), runs: 9 },
  idleSweep: run(MEASURED.idleSweep.cost),
} satisfies Record<string, Operation>

export type OperationName = keyof typeof OPERATIONS

export const NAMES = Object.keys(OPERATIONS) as OperationName[]

/** How often each happened. */
export type Tally = Record<OperationName, number>

export const emptyTally = (): Tally => Object.fromEntries(NAMES.map((name) => [name, 0])) as Tally

/** The calls and units of a month in which each happened so often. */
export function totalOf(tally: Partial<Tally>): Cost & { requests: number } {
  const total: Required<Cost> & { requests: number } = {
    ...{ requests: 0, readUnits: 0, writeUnits: 0 },
    ...{ dynamodb: {}, cognito: {}, mail: {}, kms: {}, lambda: {}, events: {}, stripe: {} },
  }
  const services = ['dynamodb', 'cognito', 'mail', 'kms', 'lambda', 'events', 'stripe'] as const
  for (const [name, count] of Object.entries(tally)) {
    const { cost, requests }: Operation = OPERATIONS[name as OperationName]
    total.requests += requests * count
    total.readUnits += cost.readUnits * count
    total.writeUnits += cost.writeUnits * count
    for (const service of services)
      for (const [call, calls] of Object.entries(cost[service] ?? {}))
        total[service][call] = (total[service][call] ?? 0) + calls * count
  }
  return total
}

/** Calls to Stripe of each. */
export const STRIPE_CALLS = Object.fromEntries(
  NAMES.map((name) => {
    const { cost }: Operation = OPERATIONS[name]
    return [name, Object.values(cost.stripe ?? {}).reduce((a, b) => a + b, 0)]
  }),
) as Tally

/** The request that creates the user at Cognito. */
export const CREATES: 'register' | 'confirm' =
  'AdminCreateUser' in ((OPERATIONS.register as Operation).cost.cognito ?? {}) ? 'register' : 'confirm'
