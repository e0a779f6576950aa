import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'

/**
 * Where a run breaks. Every call to a port that leaves the process is numbered from 1.
 * - `crash-before`, `crash-after`: the process dies before or after the call, so this call and all later ones
 *   throw
 * - `error-before`, `error-after`: only this call throws, as in an outage (before) or after a lost reply
 *   (after)
 */
export interface Break {
  at: number
  kind: 'crash-before' | 'crash-after' | 'error-before' | 'error-after'
}

export const BREAK_KINDS = ['crash-before', 'crash-after', 'error-before', 'error-after'] as const

/** Options for a job that never runs out of time and processes one item after the other. */
export const WHOLE_RUN = { untilMs: Number.POSITIVE_INFINITY, width: 1 }

/**
 * EXHAUSTIVE=1 tries every combination, which takes minutes; otherwise only a sample of the largest products
 * runs.
 */
export const EXHAUSTIVE = process.env.EXHAUSTIVE !== undefined

/** The error of every call after the simulated death of the process. */
export class Crash extends Error {}

/** Ports that work inside the process, so they cannot fail on their own. */
const LOCAL = new Set([
  'clock',
  'ids',
  'log',
  'keyring',
  'totp',
  'passwordHashes',
  'mailDomains',
  'paymentScope',
  'webhookSecrets',
])

/** The same ports, which break at `point` and record their calls. */
export function breaking(ports: Ports, point?: Break): { ports: Ports; calls: string[] } {
  const calls: string[] = []
  let gone = false
  const broken = () => (gone ? new Crash('the process is gone') : new DomainError('temporarily_unavailable'))

  const wrap = (port: string, target: object) =>
    new Proxy(target, {
      get: (object, method, receiver) => {
        const call = Reflect.get(object, method, receiver)
        if (typeof call !== 'function') return call
        return async (...args: unknown[]) => {
          if (gone) throw broken()
          calls.push(`${port}.${String(method)}`)
          const here = point?.at === calls.length ? point.kind : undefined
          if (here?.startsWith('crash')) gone = true
          if (here?.endsWith('before')) throw broken()
          const result = await call.apply(object, args)
          if (here) throw broken()
          return result
        }
      },
    })

  const wrapped = Object.entries(ports).map(([name, port]) => [
    name,
    LOCAL.has(name) ? port : wrap(name, port),
  ])
  return { ports: Object.fromEntries(wrapped), calls }
}

/**
 * Runs a scenario once unbroken to count its calls, then once for every call and every kind of break.
 * `scenario` gets fresh ports for each run and must create its own accounts.
 */
export async function everyBreak(
  ports: Ports,
  scenario: (run: { broken: Ports; title: string }) => Promise<void>,
): Promise<number> {
  const whole = breaking(ports)
  await scenario({ broken: whole.ports, title: 'unbroken' })
  for (let at = 1; at <= whole.calls.length; at++) {
    for (const kind of BREAK_KINDS) {
      // A crash before a call has the same effect as a crash after the previous call.
      if (kind === 'crash-before' && at > 1) continue
      const title = `${kind} of call ${at}, ${whole.calls[at - 1]}`
      await scenario({ broken: breaking(ports, { at, kind }).ports, title })
    }
  }
  return whole.calls.length
}
