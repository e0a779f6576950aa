import type { Deps, Payments } from '../ports.ts'

/** Stripe takes 100 requests a second in live mode; what is left is for customers. */
const PER_SECOND = 95

/** The same provider, asked no more often than it answers: each call waits for its turn. */
export function pacedPayments({ payments, clock }: Deps<'payments'>): Payments {
  let turnMs = 0
  const paced =
    (method: PropertyKey) =>
    async (...args: unknown[]) => {
      const nowMs = clock.nowMs()
      turnMs = Math.max(turnMs + 1000 / PER_SECOND, nowMs)
      if (turnMs > nowMs) await clock.wait(turnMs - nowMs)
      return Reflect.apply(Reflect.get(payments, method), payments, args)
    }
  return new Proxy(payments, { get: (_, method) => paced(method) })
}
