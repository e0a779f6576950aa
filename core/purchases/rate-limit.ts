import type { Deps, Payments } from '../ports.ts'

/** Stripe accepts 100 requests per second in live mode; five of them stay free for customers. */
const PER_SECOND = 95

/** The same provider with a rate limit: each call waits for its turn. */
export function pacedPayments({ payments, clock }: Deps<'payments'>): Payments {
  let nextCallMs = 0
  const paced =
    (method: PropertyKey) =>
    async (...args: unknown[]) => {
      const nowMs = clock.nowMs()
      nextCallMs = Math.max(nextCallMs + 1000 / PER_SECOND, nowMs)
      if (nextCallMs > nowMs) await clock.wait(nextCallMs - nowMs)
      return Reflect.apply(Reflect.get(payments, method), payments, args)
    }
  return new Proxy(payments, { get: (_, method) => paced(method) })
}
