import { setImmediate as turn } from 'node:timers/promises'
import Stripe from 'stripe'
import { STRIPE_API_VERSION, stripePayments } from '../../core/adapters/stripe.ts'
import type { Payments } from '../../core/ports.ts'
import {
  authenticate,
  bank,
  deleteObjects,
  otherAccount,
  replyTo,
  runDue,
  type World,
} from '../local/stripe/api.ts'
import { rateLimited } from '../local/stripe/errors.ts'
import { faultList } from '../local/stripe/faults.ts'
import { type CallLimits, callLimiter } from '../local/stripe/limits.ts'
import { replyBook } from '../local/stripe/replies.ts'
import { routeOf } from '../local/stripe/routes.ts'
import { emptyState, type StripeState } from '../local/stripe/state.ts'

const DAY_MS = 86_400_000

export interface StripeHere {
  state: StripeState
  /** Our adapter with the real SDK. */
  payments: Payments
  /** Acts as the operator's Dashboard; faults do not affect its calls. */
  operator: Stripe
  faults: World['faults']
  /** Refuses calls above these limits; undefined accepts every call, as at the start. */
  limit(limits: CallLimits | undefined): void
  /** Errors of the double itself. */
  mistakes: unknown[]
  /** The customer finishes 3-D Secure. */
  authenticate(paymentId: string, outcome: 'succeed' | 'fail'): void
  /** Acts as banks and card networks. */
  bank: ReturnType<typeof bank>
  /** Deletes objects as Stripe does with test data. */
  deleteObjects(ids: readonly string[]): void
  /** Forgets all idempotency keys, as Stripe may do after a day, but keys of refunds only after a day. */
  forgetKeys(): void
  /** Runs what Stripe does on its own up to the present time. */
  tick(): void
}

/** The SDK's platform functions, which create its HTTP client, and the function of which our adapter asks one. */
const platform = (Stripe as unknown as { _platformFunctions: { createDefaultHttpClient(): unknown } })
  ._platformFunctions
const sdk = Stripe as { createNodeHttpClient(): unknown }

function withClient<T>(client: unknown, make: () => T): T {
  const usual = [platform.createDefaultHttpClient, sdk.createNodeHttpClient] as const
  platform.createDefaultHttpClient = sdk.createNodeHttpClient = () => client
  try {
    return make()
  } finally {
    ;[platform.createDefaultHttpClient, sdk.createNodeHttpClient] = usual
  }
}

/**
 * The double of Stripe behind our adapter and the real SDK, without a network: ten times faster, and calls
 * arrive in the order in which they were made. It supports only those request faults that the SDK does not
 * retry.
 */
export function stripeHere(
  nowMs: () => number,
  state: StripeState = emptyState(),
  /** Called with the id of each event that Stripe would deliver. */
  onEvent: (eventId: string) => void = () => {},
  /** Resolves when a call reaches Stripe. */
  arrive: () => Promise<void> = turn,
): StripeHere {
  const limiter = callLimiter()
  const mistakes: unknown[] = []
  const world: World = {
    state,
    nowMs,
    faults: faultList(),
    replies: replyBook(state, nowMs),
    // Events stay undelivered until the test delivers them.
    webhooks: {
      queue: (eventId) => onEvent(eventId),
      deliverDue: async () => {},
      flush: async () => {},
      pending: () => 0,
      close: async () => {},
    },
    onError: (error) => mistakes.push(error),
  }
  const client = (ours: boolean) => ({
    getClientName: () => 'here',
    async makeRequest(
      _host: string,
      _port: string,
      target: string,
      method: string,
      headers: Record<string, unknown>,
      data: string | null,
    ) {
      await arrive()
      const url = new URL(target, 'http://stripe')
      const header = (name: string) => {
        const found = Object.entries(headers).find(([each]) => each.toLowerCase() === name)
        return found?.[1] === undefined ? undefined : String(found[1])
      }
      const request = `${method} ${url.pathname}`
      const { fault, code } =
        (ours ? world.faults.take(['429', '500', 'other-account'], request) : undefined) ?? {}
      const limit = limiter.refusal(routeOf(method, url.pathname)?.key ?? request, nowMs())
      runDue(world)
      const call = {
        method,
        path: url.pathname,
        query: url.search.slice(1),
        body: data ?? '',
        authorization: header('authorization'),
        version: header('stripe-version'),
        idempotencyKey: header('idempotency-key'),
      }
      const {
        status,
        body,
        headers: answered,
      } = replyTo(fault === 'other-account' ? otherAccount(world) : world, call, {
        ...(limit && { refusal: limit }),
        ...(fault === '429' && { refusal: rateLimited() }),
        ...(fault === '500' && { failing: code === 'after-commit' ? 'after' : 'before' }),
      })
      return {
        getStatusCode: () => status,
        getHeaders: () => answered,
        getRawResponse: () => ({ statusCode: status }),
        toStream: () => undefined,
        toJSON: async () => JSON.parse(body),
      }
    },
  })
  const payments = withClient(client(true), () => stripePayments({ secretKey: 'sk_test_world' }))
  const config = { apiVersion: STRIPE_API_VERSION, telemetry: false } as const
  const operator = withClient(client(false), () => new Stripe('sk_test_operator', config))
  return {
    state,
    payments,
    operator,
    faults: world.faults,
    limit: limiter.set,
    mistakes,
    authenticate: (id, outcome) => authenticate(world, id, outcome),
    bank: bank(world),
    deleteObjects: (ids) => deleteObjects(world, ids),
    forgetKeys() {
      // Nothing fences a refund but its key, which Stripe remembers for a day.
      const kept = Object.entries(state.replies).filter(
        ([key, { atMs }]) => key.startsWith('refund_') && atMs + DAY_MS > nowMs(),
      )
      state.replies = Object.fromEntries(kept)
    },
    tick: () => void runDue(world),
  }
}
