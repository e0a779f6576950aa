import type { IncomingMessage, ServerResponse } from 'node:http'
import * as z from 'zod/mini'
import { cut, DELAY_MS, type FaultControls, pause } from './faults.ts'
import { listen, readBody } from './http.ts'
import { DELETE_FOLDER, openState } from './state.ts'
import { authenticate, type Call, replyTo, runDue, type World } from './stripe/api.ts'
import { keyInUse, rateLimited } from './stripe/errors.ts'
import { type Fault, faultList } from './stripe/faults.ts'
import { replyBook } from './stripe/replies.ts'
import { routeOf } from './stripe/routes.ts'
import { emptyState, forgetOld, letters, type StripeState } from './stripe/state.ts'
import { webhookSender } from './stripe/webhooks.ts'

/**
 * A double of Stripe: its REST API for customers, cards, PaymentIntents, refunds and disputes, on loopback.
 *
 * Known differences from Stripe:
 * - One account, one currency (usd), cards only, no Connect. Parameters of other payment methods are unknown,
 *   and parameters that Stripe has and the double would have to ignore are refused with a sentence of its own.
 * - Only API version 2026-10-28.endive. A request without a version gets what an older account's default
 *   would allow: `payment_method_types[]=card`, and no `return_url`. The CLI's triggers need that.
 * - Raw card numbers are taken without asking, those of the test cards only. No card expires by itself.
 * - `confirmation_method=manual` is kept and acts like automatic; `confirm` takes no `shipping`.
 * - 3-D Secure has no page: `next_action.use_stripe_sdk` is empty, and `authenticate()` is the customer.
 * - Whether 3-D Secure is asked for depends on the test card alone, not on `request_three_d_secure` or Radar.
 * - Events are delivered to one endpoint, one after the other and in order, unless a fault says otherwise;
 *   Stripe promises no order. Those sent are the ones that change cards and payments: no `charge.updated`,
 *   no `balance.*`, no `payment_method.automatically_updated`, no `charge.pending`.
 * - No balance transactions, no receipts behind `receipt_url`, no search, no files, no `processing` state.
 * - Requests for the same object wait for each other: there is no `lock_timeout`, and no rate limit but by a fault.
 * - Pending and failing refunds, and the bank's verdict on a dispute, come after 5 seconds of the stack's clock.
 * - A hold that is canceled fires `charge.refunded` and leaves no Refund object behind.
 * - A customer that is deleted lets its cards go one by one, each with a `payment_method.detached`.
 * - Of the CLI's triggers those for cards, customers, charges, refunds, disputes and intents work; not
 *   `payment_intent.processing`, `payment_intent.partially_funded`, `customer.source.*` and all of billing,
 *   Connect, Issuing and payouts.
 * - Messages of errors are like Stripe's, not always the same; types, codes, parameters and statuses are.
 */

export interface StripeOptions {
  nowMs(): number
  /** 0 or left out picks a free one. */
  port?: number
  /** Where the state is kept. Left out: in memory. */
  stateFile?: string
  /** Where events go; a function is asked at each delivery. Left out: events are kept and not delivered. */
  webhookUrl?: string | (() => string)
  /** Signs the events. Left out: made up, and kept with the state. */
  webhookSecret?: string
  /** `manual`: nothing is delivered but by `flushWebhooks`. Left out: at once, and again when it is due. */
  delivery?: 'automatic' | 'manual'
  /** Told of mistakes of the double itself, such as an answer that is not as Stripe's. */
  onError?(error: unknown): void
}

export interface StripeDouble extends FaultControls<Fault> {
  /** `http://127.0.0.1:PORT`. */
  url: string
  webhookSecret: string
  /** How often each endpoint was called, by method and path with `*` for each id. */
  calls(): Record<string, number>
  resetCalls(): void
  /** What the double remembers, for a caller in this process. */
  state: StripeState
  /** Forgets every object, event and idempotency key. */
  clear(): void
  /** The customer finishes 3-D Secure. @throws Error if there is nothing to finish. */
  authenticate(request: { paymentIntent: string; outcome: 'succeed' | 'fail' }): void
  /** Delivers everything that is due by now, events held back for another order included. */
  flushWebhooks(): Promise<void>
  /** Deliveries that are still to be made, now or later. */
  pendingWebhooks(): number
  close(): Promise<void>
}

/** What is kept between runs. */
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

/** Starts the double. @throws NodeJS.ErrnoException `EADDRINUSE` for a taken port. */
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
    await answer(world, save, call, response, closing.signal).catch((error: unknown) => {
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
    addFault: world.faults.add,
    clearFaults: world.faults.clear,
    authenticate({ paymentIntent, outcome }) {
      authenticate(world, paymentIntent, outcome)
      save()
      setImmediate(deliver)
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
] as const

/** Answers a request, or does what a fault makes of it. The state is saved before anything is said. */
async function answer(
  world: World,
  save: () => void,
  call: Call,
  response: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  const { fault, code, delayMs } = world.faults.take(REQUEST_FAULTS, `${call.method} ${call.path}`) ?? {}
  if (fault === 'lose-reply-before-commit') return cut(response)
  if (fault === 'delay') await wait(world, call, delayMs ?? DELAY_MS, closing)
  if (closing.aborted) return cut(response)
  runDue(world)
  const reply = replyTo(world, call, {
    ...(fault === '409' && { refusal: keyInUse(call.idempotencyKey ?? '') }),
    ...(fault === '429' && { refusal: rateLimited() }),
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

/** While a request waits its idempotency key is in use; another request with it is told so at once. */
async function wait(world: World, call: Call, delayMs: number, closing: AbortSignal): Promise<void> {
  const key = call.method === 'POST' ? call.idempotencyKey : undefined
  if (key !== undefined && world.replies.isInUse(key)) return
  const release = key === undefined ? undefined : world.replies.reserve(key)
  await pause(delayMs, closing)
  release?.()
}
