import { createHmac } from 'node:crypto'
import type { Delivery, StripeState } from './state.ts'

/**
 * Delays between retries of a delivery that was not answered with 2xx: about three days, as Stripe documents.
 */
const MINUTE_MS = 60_000
const BACKOFF_MS = [1, 5, 30, 120, 300, 600, 720, 720, 720, 720, 720].map((minutes) => minutes * MINUTE_MS)
/** How long reordered events wait. */
const REORDER_MS = 1000
const ANSWER_WITHIN_MS = 10_000

export interface Webhooks {
  /** Queues an event for delivery, `copies` times. */
  queue(eventId: string, how: { copies: number; reordered: boolean }): void
  /** Delivers the events that are due, one after the other; reordered events only after their delay. */
  deliverDue(): Promise<void>
  /** Delivers every event that is due, and the reordered events before their delay has passed. */
  flush(): Promise<void>
  pending(): number
  close(): Promise<void>
}

/** Delivers signed events to one endpoint, in order, and retries those that the endpoint does not accept. */
export function webhookSender(options: {
  state: StripeState
  save(): void
  nowMs(): number
  url(): string
  secret: string
}): Webhooks {
  const { state, nowMs } = options
  const closing = new AbortController()
  let running: Promise<void> | undefined

  const next = (): Delivery | undefined => {
    const due = state.deliveries.filter((delivery) => delivery.dueMs <= nowMs())
    return due.find((delivery) => !delivery.reordered) ?? due.at(-1)
  }

  const drain = async () => {
    for (let delivery = next(); delivery && !closing.signal.aborted; delivery = next()) {
      const taken = await post(delivery.eventId)
      if (closing.signal.aborted) return
      settle(delivery, taken)
      options.save()
    }
  }

  const settle = (delivery: Delivery, taken: boolean) => {
    const wait = BACKOFF_MS[delivery.attempts]
    delivery.attempts += 1
    if (!taken && wait !== undefined) {
      Object.assign(delivery, { dueMs: nowMs() + wait, reordered: false })
      return
    }
    state.deliveries.splice(state.deliveries.indexOf(delivery), 1)
    const event = state.events[delivery.eventId]
    if (event && taken) event.pending_webhooks = 0
  }

  const post = async (eventId: string): Promise<boolean> => {
    // Stripe indents its bodies, so a receiver that parses and serialises a body gets different bytes.
    const body = JSON.stringify(state.events[eventId], null, 2)
    try {
      const response = await fetch(options.url(), {
        method: 'POST',
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'stripe-signature': signatureOf(body, options.secret, nowMs()),
          'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
        },
        body,
        redirect: 'manual',
        signal: AbortSignal.any([closing.signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
      })
      await response.arrayBuffer()
      return response.ok
    } catch {
      return false
    }
  }

  const deliverDue = () => {
    running ??= drain().finally(() => {
      running = undefined
    })
    return running
  }

  return {
    queue(eventId, { copies, reordered }) {
      for (let n = 0; n < copies; n += 1) {
        const dueMs = nowMs() + (reordered ? REORDER_MS : 0)
        state.deliveries.push({ eventId, dueMs, attempts: 0, reordered })
      }
    },
    deliverDue,
    async flush() {
      do {
        for (const delivery of state.deliveries) {
          if (delivery.reordered) delivery.dueMs = Math.min(delivery.dueMs, nowMs())
        }
        await deliverDue()
      } while (next() && !closing.signal.aborted)
    },
    pending: () => state.deliveries.length,
    async close() {
      closing.abort()
      await running
    },
  }
}

/** The `stripe-signature` header for a body sent at that time. */
export function signatureOf(body: string, secret: string, nowMs: number): string {
  const t = Math.floor(nowMs / 1000)
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')}`
}
