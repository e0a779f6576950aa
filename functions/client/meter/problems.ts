import type { Clock, JournalEntry } from './spender.ts'

/**
 * `uncollected`: served and refused for good. `unavailable`: Bursar does not answer. `service_refused`, or another code
 * of Bursar: nothing was served.
 */
export interface MeterProblem {
  code: string
  detail: string
  /** Of `uncollected`. Its `key` is a customer's secret, so it is not enumerable and stays out of logs. */
  entry?: JournalEntry
}

export interface Problems {
  /** Units that are lost: each is told. */
  lost(problem: MeterProblem): void
  /** A state that each request meets: told once a minute by code. */
  state(code: string, detail: string): void
}

const QUIET_MS = 60_000
/** Codes come from whatever answers. */
const MOST_CODES = 100

/** What a listener throws must not fail the request that it hears of. */
export function openProblems(listener: (problem: MeterProblem) => void, clock: Clock): Problems {
  const toldMs = new Map<string, number>()
  function lost(problem: MeterProblem): void {
    try {
      listener(problem)
    } catch {}
  }
  return {
    lost,
    state(code, detail) {
      const now = clock.nowMs()
      // A clock that was set back makes nobody deaf.
      if (Math.abs(now - (toldMs.get(code) ?? Number.NEGATIVE_INFINITY)) < QUIET_MS) return
      if (toldMs.size >= MOST_CODES) toldMs.clear()
      toldMs.set(code, now)
      lost({ code, detail })
    },
  }
}

/** The entry for a listener, which may log what it hears. */
export function withoutSecret({ key, ...shown }: JournalEntry): JournalEntry {
  return Object.defineProperty(shown, 'key', { value: key }) as JournalEntry
}
