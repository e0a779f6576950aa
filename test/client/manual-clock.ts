import type { Clock } from '../../functions/client/meter/spender.ts'

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Moves the clock, runs each timer that is due at its moment, and lets everything that follows from it happen. */
  advance(ms: number): Promise<void>
  /** Timers that are set. */
  timers(): number
}

export function manualClock(startMs = Date.UTC(2026, 10, 21)): ManualClock {
  let nowMs = startMs
  const timers = new Set<{ atMs: number; work: () => void }>()
  return {
    nowMs: () => nowMs,
    after(ms, work) {
      const timer = { atMs: nowMs + ms, work }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    async advance(ms) {
      const endMs = nowMs + ms
      await quiet()
      for (;;) {
        const [next] = [...timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
        if (next === undefined) break
        timers.delete(next)
        nowMs = Math.max(nowMs, next.atMs)
        next.work()
        await quiet()
      }
      nowMs = endMs
    },
    timers: () => timers.size,
  }
}

/** Lets every promise that can settle do so. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
