import { DomainError, rateLimited } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { DAY_MS } from '../../core/time.ts'
import { Crash } from './faults.ts'

/** The ways in which a call to a port can break. */
export const PURCHASE_BREAKS = ['crash-after', 'error-before', 'error-after', 'late', 'limited'] as const

/**
 * Where a run breaks. Calls to the table, the payment provider and the event bus are numbered from 1.
 * - `crash-after`: the call takes effect, and the process dies
 * - `error-before`, `error-after`: only this call throws, before or after it takes effect
 * - `late`: the call throws, and takes effect after later calls, a refund within a day; a call to the table or the bus
 *   never does, as in `error-before`
 * - `limited`: a rate limit refuses the call, which has no effect; for a call to the table as `error-before`
 */
export interface PurchaseBreak {
  at: number
  kind: (typeof PURCHASE_BREAKS)[number]
}

export interface Through {
  ports: Ports
  /** The calls so far, as `port.method`. */
  calls: string[]
  /** Lets the late calls take effect. */
  arrive(): Promise<void>
}

/** The same ports, which record their calls, break as `breaks` says, and run `before` ahead of each call. */
export function through(
  ports: Ports,
  {
    breaks = [],
    before,
  }: { breaks?: readonly PurchaseBreak[]; before?: (at: number) => Promise<unknown> } = {},
): Through {
  const calls: string[] = []
  const late: (() => Promise<unknown>)[] = []
  let gone = false
  const wrap = (port: 'table' | 'payments' | 'events', target: object) =>
    new Proxy(target, {
      get: (object, method, receiver) => {
        const call = Reflect.get(object, method, receiver)
        // Reading an event only computes, so it cannot break.
        if (typeof call !== 'function' || method === 'readEvent') return call
        return async (...args: unknown[]) => {
          const run = (): Promise<unknown> => Reflect.apply(call, object, args)
          if (gone) throw new Crash('the process is gone')
          calls.push(`${port}.${String(method)}`)
          const at = calls.length
          await before?.(at)
          if (gone) throw new Crash('the process is gone')
          const kind = breaks.find((each) => each.at === at)?.kind
          if (kind === undefined) return run()
          if (kind === 'crash-after') {
            await run()
            gone = true
            throw new Crash('the process is gone')
          }
          if (kind === 'error-after') await run()
          const sentMs = ports.clock.nowMs()
          const inTime = () => method !== 'createRefund' || ports.clock.nowMs() - sentMs < DAY_MS
          if (kind === 'late' && port === 'payments') late.push(async () => inTime() && run())
          if (kind === 'limited' && port === 'payments') {
            throw rateLimited({ scope: 'endpoint', retryAfterSeconds: undefined }, new Error('429'))
          }
          const error = new DomainError('temporarily_unavailable')
          // For this call alone the port returns an unknown outcome instead of throwing.
          if (method === 'confirmPayment') return { status: 'unknown', cause: error }
          throw error
        }
      },
    })
  return {
    ports: {
      ...ports,
      table: wrap('table', ports.table),
      payments: wrap('payments', ports.payments),
      events: wrap('events', ports.events),
    } as Ports,
    calls,
    async arrive() {
      for (const call of late.splice(0)) await call().catch(() => {})
    },
  }
}
