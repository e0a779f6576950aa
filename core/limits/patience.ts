import { rateLimitOf } from '../errors.ts'
import type { Clock } from '../ports.ts'

/** Calls a method of a port by name. */
export type Call = (method: string, call: () => Promise<unknown>) => Promise<unknown>

/** The same port, whose methods all go through `around`, except those that call nobody. */
export const callingThrough = <T extends object>(port: T, around: Call, local: readonly string[] = []): T =>
  new Proxy(port, {
    get(target, name) {
      const call = Reflect.get(target, name)
      if (typeof call !== 'function' || local.includes(String(name))) return call
      return (...args: unknown[]) => around(String(name), () => Reflect.apply(call, target, args))
    },
  })

/** Waits before a refused call is repeated while somebody waits for the answer, ms; `JITTER` varies them. */
const SHORT_WAITS_MS = [300, 800, 1600]
const JITTER = 0.5

/** A longer `Retry-After` than this is left to the caller, seconds. */
const SHORT_SECONDS = 2

/**
 * Repeats a call that a rate limit refused, and that therefore had no effect, for three seconds at most; then its error
 * says when to try again.
 */
export const patiently =
  (clock: Clock): Call =>
  async (_method, call) => {
    for (const waitMs of SHORT_WAITS_MS) {
      try {
        return await call()
      } catch (error) {
        const limit = rateLimitOf(error)
        const seconds = limit?.retryAfterSeconds ?? 0
        if (!limit || seconds > SHORT_SECONDS) throw error
        const jitterMs = (clock.nowMs() % 1000) * (waitMs / 1000) * JITTER
        await clock.wait(Math.max(waitMs + jitterMs, seconds * 1000))
      }
    }
    return call()
  }
