import { createHash } from 'node:crypto'
import type Stripe from 'stripe'
import { type CardUpdate, disputeCharge, updateCardByNetwork, warnOfCharge } from './bank.ts'
import { checkAnswer, checkError, checkEvent } from './check.ts'
import { decideDispute } from './disputes.ts'
import { malformed, StripeProblem, serverError, unauthorized } from './errors.ts'
import { type FaultList, isDeclineCode } from './faults.ts'
import { type Form, parseForm } from './form.ts'
import { expanded } from './lists.ts'
import { authenticateIntent, expireHold } from './payment-intents.ts'
import { failRefund, settleRefund } from './refunds.ts'
import { type ReplyBook, replyBook } from './replies.ts'
import { ROUTES, refuseUnmodelled, routeOf } from './routes.ts'
import { readRequest } from './schema.ts'
import { authenticateSetup } from './setup-intents.ts'
import { emptyState, findObject, newId, type StripeObject, type StripeState, type Task } from './state.ts'
import { eventAbout, type Turn } from './turn.ts'
import type { Webhooks } from './webhooks.ts'
import type { RouteKey } from './wire.ts'

/** The API version of the double, which is the version of its schemas. */
export const API_VERSION = '2026-10-28.endive'

export interface World {
  state: StripeState
  nowMs(): number
  faults: FaultList
  replies: ReplyBook
  /** Undefined if there is no endpoint; events are then kept and not delivered. */
  webhooks: Webhooks | undefined
  onError(error: unknown): void
}

/** A request as received. */
export interface Call {
  method: string
  path: string
  query: string
  body: string
  authorization: string | undefined
  version: string | undefined
  idempotencyKey: string | undefined
}

export interface Reply {
  status: number
  body: string
  headers: Record<string, string>
}

/** How a fault changes the outcome of a request. */
export interface Twist {
  /** The error to answer instead of doing the work. */
  refusal?: StripeProblem
  /** Answer 500 instead, before the work or after the work. */
  failing?: 'before' | 'after'
}

export function replyTo(world: World, call: Call, { refusal, failing }: Twist = {}): Reply {
  const requestId = newId('req')
  const key = call.method === 'POST' ? call.idempotencyKey : undefined
  const request = createHash('sha256').update(`${call.method} ${call.path} ${call.body}`).digest('base64')
  const headers = {
    'request-id': requestId,
    'stripe-version': call.version ?? API_VERSION,
    ...(key !== undefined && { 'idempotency-key': key }),
  }
  try {
    checkCaller(call)
    if (refusal) throw refusal
    const known = key === undefined ? undefined : world.replies.find(key, request)
    if (known) {
      const replay = { 'idempotent-replayed': 'true', 'original-request': known.requestId }
      return {
        status: known.status,
        body: known.body,
        headers: { ...headers, ...retryAdvice(known.status), ...replay },
      }
    }
    const failure = failing && problem(serverError())
    const outcome =
      failing === 'before' ? failure : attempt(world, call, { id: requestId, idempotency_key: key ?? null })
    const { status, body, executed } = failure ?? outcome!
    if (key !== undefined && executed) world.replies.keep(key, { request, requestId, status, body })
    return { status, body, headers: { ...headers, ...retryAdvice(status) } }
  } catch (error) {
    if (!(error instanceof StripeProblem)) throw error
    const { status, body } = problem(error)
    return { status, body, headers: { ...headers, ...retryAdvice(status), ...error.headers } }
  }
}

/** A 409 is worth a retry: a key in use is soon released. A 500 is stored under its key and would repeat. */
function retryAdvice(status: number): Record<string, string> {
  if (status === 409) return { 'stripe-should-retry': 'true' }
  return status >= 500 ? { 'stripe-should-retry': 'false' } : {}
}

function checkCaller({ authorization, version }: Call): void {
  const [scheme, credentials = ''] = (authorization ?? '').split(' ')
  const key =
    scheme === 'Basic' ? Buffer.from(credentials, 'base64').toString().replace(/:.*$/, '') : credentials
  if (key === '') {
    throw unauthorized(
      'You did not provide an API key. You need to provide your API key in the Authorization header.',
    )
  }
  if (!/^sk_test_\w+$/.test(key)) {
    throw unauthorized(`Invalid API Key provided: ${key.slice(0, 7)}****`)
  }
  if (version !== undefined && version !== API_VERSION) {
    throw malformed(`The local double speaks API version ${API_VERSION} only, not ${version}.`)
  }
}

interface Outcome {
  status: number
  body: string
  executed: boolean
}

function attempt(world: World, call: Call, request: Stripe.Event.Request): Outcome {
  try {
    const answer = run(world, call, request)
    return { status: 200, body: JSON.stringify(answer, null, 2), executed: true }
  } catch (error) {
    if (error instanceof StripeProblem) return problem(error)
    world.onError(error)
    const message = error instanceof Error ? error.message : String(error)
    return problem(new StripeProblem(500, { type: 'api_error', message }))
  }
}

function problem({ status, body, executed }: StripeProblem): Outcome {
  checkError(body)
  return { status, body: JSON.stringify({ error: body }, null, 2), executed }
}

function run(world: World, call: Call, request: Stripe.Event.Request): object {
  const route = routeOf(call.method, call.path)
  if (!route) {
    throw new StripeProblem(
      404,
      { type: 'invalid_request_error', message: `Unrecognized request URL (${call.method}: ${call.path}).` },
      false,
    )
  }
  const form = parseForm(call.method === 'POST' ? call.body : call.query)
  const unversioned = call.version === undefined
  dropMethodTypes(form, route.key, unversioned)
  const params = readRequest(route.key, form) as { expand?: string[] }
  refuseUnmodelled(route.key, params)
  const turn = turnFor(world, `${call.method} ${call.path}`, request, unversioned)
  const handle = ROUTES[route.key].handle as (turn: Turn, params: object, ...ids: string[]) => StripeObject
  const answer = expanded(
    world.state,
    handle(turn, params, ...route.ids),
    params.expand ?? [],
  ) as StripeObject
  checkAnswer(answer)
  return answer
}

/**
 * `payment_method_types` is refused since 2026-09-30. The CLI sends no version and so gets the account's
 * default version, which may be older and still allow `card`.
 */
function dropMethodTypes(form: Form, route: RouteKey, unversioned: boolean): void {
  const types = form.payment_method_types
  if (types === undefined || !/^POST \/v1\/(payment|setup)_intents/.test(route)) return
  if (!unversioned) {
    throw malformed(
      'The parameter `payment_method_types` is no longer supported. Use `automatic_payment_methods` instead.',
      { code: 'parameter_unknown', param: 'payment_method_types' },
    )
  }
  if (JSON.stringify(types) !== '["card"]') throw malformed('The local double takes cards only.')
  delete form.payment_method_types
}

/** `name` is matched against the faults. */
function turnFor(
  world: World,
  name: string,
  request: Stripe.Event.Request | null,
  unversioned: boolean,
): Turn {
  const { state, faults, webhooks } = world
  const nowMs = world.nowMs()
  return {
    state,
    nowMs,
    unversioned,
    declineOrdered() {
      const fault = faults.take(['decline'], name)
      if (!fault) return undefined
      return fault.code !== undefined && isDeclineCode(fault.code) ? fault.code : 'generic_decline'
    },
    emit(type, object, previous) {
      const listened = webhooks !== undefined && faults.take(['no-endpoint'], name) === undefined
      const event = eventAbout(type, object, previous, {
        apiVersion: API_VERSION,
        createdSeconds: Math.floor(nowMs / 1000),
        request,
        pending: listened ? 1 : 0,
      })
      checkEvent(event)
      state.events[event.id] = event
      if (!listened || faults.take(['drop-webhooks'], name)) return
      const copies = faults.take(['duplicate-webhooks'], name) ? 2 : 1
      const reordered = faults.take(['reorder-webhooks'], name) !== undefined
      webhooks.queue(event.id, { copies, reordered })
    },
  }
}

/** The world as the secret key of another account sees it. What is created there is lost. */
export function otherAccount(world: World): World {
  const state = emptyState()
  return { ...world, state, replies: replyBook(state, world.nowMs), webhooks: undefined }
}

/**
 * Deletes objects and the events about them, as Stripe does with test data: nothing reports the deletion.
 * @throws Error if there is no such object.
 */
export function deleteObjects({ state }: World, ids: readonly string[]): void {
  for (const id of ids) {
    if (findObject(state, id) === undefined) throw new Error(`There is no ${id}.`)
    for (const objects of Object.values(state)) {
      if (!Array.isArray(objects)) delete objects[id]
    }
    const about = Object.values(state.events).filter(({ data }) => (data.object as { id?: string }).id === id)
    for (const event of about) delete state.events[event.id]
    state.deliveries = state.deliveries.filter(({ eventId }) => state.events[eventId] !== undefined)
  }
}

/** Runs the tasks of Stripe's own that are due. Returns whether there were any. */
export function runDue(world: World): boolean {
  const { state } = world
  const due = state.later.filter((task) => task.atMs <= world.nowMs())
  if (due.length === 0) return false
  state.later = state.later.filter((task) => !due.includes(task))
  const turn = turnFor(world, 'STRIPE /', null, false)
  for (const { kind, id } of due) TASKS[kind](turn, id)
  return true
}

const TASKS: Record<Task['kind'], (turn: Turn, id: string) => void> = {
  'settle-refund': settleRefund,
  'fail-refund': failRefund,
  'win-dispute': (turn, id) => decideDispute(turn, id, 'won'),
  'lose-dispute': (turn, id) => decideDispute(turn, id, 'lost'),
  'expire-hold': expireHold,
}

/**
 * Completes or fails 3-D Secure as the customer, for a PaymentIntent or a SetupIntent. The bank may then
 * decline.
 * @throws Error with Stripe's message if there is no such intent or the intent does not wait for 3-D Secure.
 */
export function authenticate(world: World, id: string, outcome: 'succeed' | 'fail'): void {
  const turn = turnFor(world, 'POST /_local/stripe/authenticate', null, false)
  const finish = id.startsWith('seti_') ? authenticateSetup : authenticateIntent
  try {
    finish(turn, id, outcome)
  } catch (error) {
    const declined = error instanceof StripeProblem && error.status === 402
    if (!declined) throw error
  }
}

/** What banks and networks do by themselves. @throws Error with Stripe's message for an unknown id. */
export const bank = (world: World) => ({
  updateCard: (update: CardUpdate): void =>
    updateCardByNetwork(turnFor(world, 'POST /_local/stripe/card', null, false), update),
  dispute: (of: { charge: string; reason?: string }): Stripe.Dispute =>
    disputeCharge(turnFor(world, 'POST /_local/stripe/dispute', null, false), of),
  warn: (of: { charge: string }): void =>
    warnOfCharge(turnFor(world, 'POST /_local/stripe/warning', null, false), of),
})
