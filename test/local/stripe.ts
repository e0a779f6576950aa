import type { IncomingMessage, ServerResponse } from 'node:http'
import * as z from 'zod/mini'
import { cut, DELAY_MS, type FaultControls, pause } from './faults.ts'
import { listen, readBody } from './http.ts'
import { DELETE_FOLDER, openState } from './state.ts'
import {
  authenticate,
  bank,
  type Call,
  deleteObjects,
  otherAccount,
  replyTo,
  runDue,
  type World,
} from './stripe/api.ts'
import type { CardUpdate } from './stripe/bank.ts'
import { keyInUse, rateLimited, type StripeProblem } from './stripe/errors.ts'
import { type Fault, faultList } from './stripe/faults.ts'
import { type CallLimits, callLimiter } from './stripe/limits.ts'
import { replyBook } from './stripe/replies.ts'
import { routeOf } from './stripe/routes.ts'
import { emptyState, forgetOld, letters, type StripeState } from './stripe/state.ts'
import { webhookSender } from './stripe/webhooks.ts'

/**
 * A double of Stripe: its REST API for customers, cards, PaymentIntents, refunds and disputes, on loopback.
 *
 * Known differences from Stripe:
 * - One account, cards only, no Connect. It knows the currencies of core/purchases/currencies.ts, and converts none. Parameters of other payment methods are unknown.
 *   Parameters of Stripe that the double would have to ignore are refused with the double's own message.
 * - Only API version 2026-10-28.endive. A request without a version may use what the default version of an
 *   older account allows: `payment_method_types[]=card`, and no `return_url`. The CLI's triggers need that.
 * - Raw card numbers are accepted without permission, but only those of the test cards. No card expires by
 *   itself.
 * - `confirmation_method=manual` is stored and acts like automatic; `confirm` takes no `shipping`.
 * - 3-D Secure has no page: `next_action.use_stripe_sdk` is empty, and `authenticate()` acts as the customer.
 * - Whether 3-D Secure is required depends on the test card alone, not on `request_three_d_secure` or Radar.
 * - Events are delivered to one endpoint, one after the other and in order, unless a fault changes that;
 *   Stripe promises no order. Only changes of cards and payments have events: no `charge.updated`,
 *   no `balance.*`, no `charge.pending`. `updateCard()`, `dispute()` and `warn()` act as banks and networks.
 * - A ConfirmationToken is made by Stripe's helper for tests, of a payment method, and it is used up by the first
 *   confirmation that Stripe takes up, whatever the bank says; Stripe's documentation does not say what it does.
 * - No balance transactions, no receipts behind `receipt_url`, no search, no files, no `processing` state.
 * - Requests for the same object wait for each other: only a fault makes a `lock_timeout`. Only `limit` and
 *   faults limit the rate.
 * - A pending refund succeeds, a failing refund fails, and the bank decides a dispute after 5 seconds of the
 *   stack's clock.
 * - A canceled hold fires `charge.refunded` and leaves no Refund object behind.
 * - Stripe deletes test data only as a whole; the double also deletes single objects when a test asks for it.
 * - When a customer is deleted, its cards are detached one by one, each with a `payment_method.detached`.
 * - The CLI's triggers for cards, customers, charges, refunds, disputes and intents work. These do not:
 *   `payment_intent.processing`, `payment_intent.partially_funded`, `customer.source.*`, and all triggers of
 *   billing, Connect, Issuing and payouts.
 * - Error messages resemble Stripe's; types, codes, parameters and statuses are the same as Stripe's.
 */

export interface StripeOptions {
  nowMs(): number
  /** 0, the default, picks a free port. */
  port?: number
  /** The file for the state. If left out, the state is in memory. */
  stateFile?: string
  /** The URL for events; a function is called at each delivery. If left out, events are only stored. */
  webhookUrl?: string | (() => string)
  /**
   * The secret that signs events. If left out, the double makes a random secret and keeps it with the state.
   */
  webhookSecret?: string
  /** With `manual`, only `flushWebhooks` delivers. By default the double delivers and retries by itself. */
  delivery?: 'automatic' | 'manual'
  /** Called with an error of the double itself, such as an answer that does not match Stripe's types. */
  onError?(error: unknown): void
}

export interface StripeDouble extends FaultControls<Fault> {
  /** `http://127.0.0.1:PORT`. */
  url: string
  webhookSecret: string
  /** The number of calls by endpoint: the method and the path, with `*` for each id. */
  calls(): Record<string, number>
  resetCalls(): void
  /**
   * Refuses calls above these limits from now on; undefined accepts every call, as at the start.
   * @throws Error for impossible limits.
   */
  limit(limits: CallLimits | undefined): void
  /** The double's state, for a caller in the same process. */
  state: StripeState
  /** Deletes every object, event and idempotency key. */
  clear(): void
  /** Finishes 3-D Secure as the customer. @throws Error if the payment does not wait for 3-D Secure. */
  authenticate(request: { paymentIntent: string; outcome: 'succeed' | 'fail' }): void
  /**
   * The network replaces the card behind a payment method: another expiry date, or another number.
   * @throws Error if there is no such payment method or test card
   */
  updateCard(update: CardUpdate): void
  /** The holder disputes a charge, as fraud by default. @throws Error if there is no such charge */
  dispute(of: { charge: string; reason?: string }): void
  /** The bank warns of a charge. @throws Error if there is no such charge */
  warn(of: { charge: string }): void
  /** Deletes objects as Stripe does with test data. @throws Error if there is no object with that id. */
  deleteObjects(ids: readonly string[]): void
  /** Delivers every event that is due, including events held back by `reorder-webhooks`. */
  flushWebhooks(): Promise<void>
  /** The number of outstanding deliveries, including retries that are not due yet. */
  pendingWebhooks(): number
  close(): Promise<void>
}

/** The content of the state file. */
interface Kept extends StripeState {
  webhookSecret: string
}

const someObject = z.looseObject({})
const schema = z.object({
  ...Object.fromEntries(
    Object.entries(emptyState()).map(([name, empty]) => [
      name,
      Array.isArray(empty) ? z.array(someObject) : z.record(z.string(), someObject),
    ]),
  ),
  webhookSecret: z.string(),
})

const TICK_MS = 100

/** Starts the double. @throws NodeJS.ErrnoException `EADDRINUSE` for a port in use. */
export async function startStripe(options: StripeOptions): Promise<StripeDouble> {
  const { nowMs, webhookUrl, onError = (error: unknown) => console.error(error) } = options
  const file = { file: options.stateFile, schema, remedy: DELETE_FOLDER }
  const kept = openState<Kept>(file, () => ({
    ...emptyState(),
    webhookSecret: options.webhookSecret ?? `whsec_Local0001${letters(23)}`,
  }))
  const state = kept.value
  forgetOld(state, nowMs())
  if (options.webhookSecret !== undefined) state.webhookSecret = options.webhookSecret
  const save = () => kept.save()
  const webhooks =
    webhookUrl === undefined
      ? undefined
      : webhookSender({
          state,
          save,
          nowMs,
          url: typeof webhookUrl === 'string' ? () => webhookUrl : webhookUrl,
          secret: state.webhookSecret,
        })
  const world: World = {
    state,
    nowMs,
    faults: faultList(),
    replies: replyBook(state, nowMs),
    webhooks,
    onError,
  }
  const limiter = callLimiter()
  let calls: Record<string, number> = {}
  const closing = new AbortController()

  const deliver = () => {
    if (options.delivery !== 'manual') webhooks?.deliverDue().catch(onError)
  }
  const doWhatIsDue = () => {
    try {
      if (runDue(world)) save()
    } catch (error) {
      onError(error)
    }
  }

  const server = await listen(async (request, response) => {
    const call = await callOf(request)
    const name = routeOf(call.method, call.path)?.key ?? `${call.method} ${call.path}`
    calls[name] = (calls[name] ?? 0) + 1
    const refusal = limiter.refusal(name, nowMs())
    await answer(world, save, call, response, closing.signal, refusal).catch((error: unknown) => {
      onError(error)
      throw error
    })
    setImmediate(deliver)
  }, options.port)

  const tick = () => {
    doWhatIsDue()
    deliver()
  }
  const timer = setInterval(tick, TICK_MS).unref()
  tick()

  return {
    url: server.url,
    webhookSecret: state.webhookSecret,
    calls: () => ({ ...calls }),
    resetCalls() {
      calls = {}
    },
    state,
    clear() {
      Object.assign(state, emptyState())
      save()
    },
    limit: limiter.set,
    addFault: world.faults.add,
    clearFaults: world.faults.clear,
    authenticate({ paymentIntent, outcome }) {
      authenticate(world, paymentIntent, outcome)
      save()
      setImmediate(deliver)
    },
    updateCard(update) {
      bank(world).updateCard(update)
      save()
      setImmediate(deliver)
    },
    dispute(of) {
      bank(world).dispute(of)
      save()
      setImmediate(deliver)
    },
    warn(of) {
      bank(world).warn(of)
      save()
      setImmediate(deliver)
    },
    deleteObjects(ids) {
      deleteObjects(world, ids)
      save()
    },
    async flushWebhooks() {
      doWhatIsDue()
      await webhooks?.flush()
    },
    pendingWebhooks: () => webhooks?.pending() ?? 0,
    async close() {
      clearInterval(timer)
      closing.abort()
      await webhooks?.close()
      await server.close()
    },
  }
}

async function callOf(request: IncomingMessage): Promise<Call> {
  const url = new URL(request.url ?? '/', 'http://stripe')
  const header = (name: string) => {
    const value = request.headers[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.search.slice(1),
    body: (await readBody(request)).toString('utf8'),
    authorization: header('authorization'),
    version: header('stripe-version'),
    idempotencyKey: header('idempotency-key'),
  }
}

const REQUEST_FAULTS = [
  'lose-reply-before-commit',
  'lose-reply-after-commit',
  '409',
  '429',
  '500',
  'delay',
  'torn-body',
  'other-account',
] as const

/** Answers a request or applies its fault. The state is saved before the answer is sent. */
async function answer(
  world: World,
  save: () => void,
  call: Call,
  response: ServerResponse,
  closing: AbortSignal,
  limit: StripeProblem | undefined,
): Promise<void> {
  const { fault, code, delayMs, retryAfterSeconds } =
    world.faults.take(REQUEST_FAULTS, `${call.method} ${call.path}`) ?? {}
  if (fault === 'lose-reply-before-commit') return cut(response)
  if (fault === 'delay') await wait(world, call, delayMs ?? DELAY_MS, closing)
  if (closing.aborted) return cut(response)
  runDue(world)
  const lock = code === 'lock_timeout' ? code : undefined
  const reply = replyTo(fault === 'other-account' ? otherAccount(world) : world, call, {
    ...(limit && { refusal: limit }),
    ...(fault === '409' && { refusal: keyInUse(call.idempotencyKey ?? '') }),
    ...(fault === '429' && { refusal: rateLimited(lock, retryAfterSeconds) }),
    ...(fault === '500' && { failing: code === 'after-commit' ? 'after' : 'before' }),
  })
  save()
  if (fault === 'lose-reply-after-commit') return cut(response)
  response.writeHead(reply.status, {
    ...reply.headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(reply.body),
  })
  if (fault === 'torn-body') {
    response.write(reply.body.slice(0, reply.body.length / 2), () => response.destroy())
    return
  }
  response.end(reply.body)
}

/** Delays a request. Its idempotency key is in use meanwhile: another request with the key gets a 409. */
async function wait(world: World, call: Call, delayMs: number, closing: AbortSignal): Promise<void> {
  const key = call.method === 'POST' ? call.idempotencyKey : undefined
  if (key !== undefined && world.replies.isInUse(key)) return
  const release = key === undefined ? undefined : world.replies.reserve(key)
  await pause(delayMs, closing)
  release?.()
}
