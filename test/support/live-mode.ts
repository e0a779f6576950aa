import type { Payments, Ports } from '../../core/ports.ts'

/** What the double of Stripe answers, which is always of the test mode, as it is in live mode. */
export function livePayments(payments: Payments): Payments {
  return new Proxy(payments, {
    get(target, name) {
      const call = Reflect.get(target, name)
      if (typeof call !== 'function') return call
      return (...args: unknown[]) => {
        const answer = call.apply(target, args)
        return answer instanceof Promise ? answer.then(live) : answer
      }
    },
  })
}

/** The ports of a deployment whose stage is live, with the double of Stripe behind them. */
export const inLiveMode = (ports: Ports): Ports => ({
  ...ports,
  payments: livePayments(ports.payments),
  paymentScope: { ...ports.paymentScope, livemode: true },
})

function live<T>(answer: T): T {
  if (Array.isArray(answer)) return answer.map(live) as T
  if (answer === null || typeof answer !== 'object' || Object.getPrototypeOf(answer) !== Object.prototype)
    return answer
  const members = Object.entries(answer).map(([name, value]) => [
    name,
    name === 'livemode' ? true : live(value),
  ])
  return Object.fromEntries(members)
}
