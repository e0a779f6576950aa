import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { Crash } from './faults.ts'

/** Ways in which a call to a port can break. */
export const PURCHASE_BREAKS = ['crash-after', 'error-before', 'error-after', 'late'] as const

/**
 * Where a run breaks. Calls to the table and to the provider are numbered from 1.
 * - `crash-after`: the call takes effect, and the process is gone
 * - `error-before`, `error-after`: this call throws, without effect or with it
 * - `late`: as `error-before`, and it takes effect when others have gone on; of the table, which waits, the same as that
 */
export interface PurchaseBreak {
  at: number
  kind: (typeof PURCHASE_BREAKS)[number]
}

export interface Through {
  ports: Ports
  /** What was called so far. */
  calls: string[]
  /** Lets what was on its way arrive. */
  arrive(): Promise<void>
}

/** The same ports, which count their calls, break where they are told, and before a call let others act. */
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
  const wrap = (port: 'table' | 'payments', target: object) =>
    new Proxy(target, {
      get: (object, method, receiver) => {
        const call = Reflect.get(object, method, receiver)
        // Reading an event is arithmetic.
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
          if (kind === 'late' && port === 'payments') late.push(run)
          const error = new DomainError('temporarily_unavailable')
          // The one call whose unknown outcome is an answer.
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
    } as Ports,
    calls,
    async arrive() {
      for (const call of late.splice(0)) await call().catch(() => {})
    },
  }
}
