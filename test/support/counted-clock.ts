import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../core/ports.ts'

/** A clock whose time passes only while everybody waits for it, so that a test of minutes takes moments. */
export interface CountedClock extends Clock {
  /** Moves the clock from one waiting caller to the next until `work` has ended. @returns its result. */
  run<T>(work: Promise<T>): Promise<T>
}

/** Turns of the event loop without a wake-up after which everybody waits for the clock. */
const QUIET_TURNS = 12

export function countedClock(startMs = Date.UTC(2026, 10, 21, 12)): CountedClock {
  let nowMs = startMs
  /** Those who wait, ordered by time. */
  const waiting: { atMs: number; wake: () => void }[] = []
  return {
    nowMs: () => nowMs,
    wait: (ms) =>
      new Promise<void>((wake) => {
        // Whole milliseconds, as every clock of a computer tells them.
        const atMs = Math.ceil(nowMs + ms)
        const later = waiting.findIndex((each) => each.atMs > atMs)
        waiting.splice(later < 0 ? waiting.length : later, 0, { atMs, wake })
      }),
    async run(work) {
      let isDone = false
      const end = () => {
        isDone = true
      }
      work.then(end, end)
      while (!isDone) {
        for (let turns = 0; turns < QUIET_TURNS && !isDone; turns++) await turn()
        const next = isDone ? undefined : waiting.shift()
        if (!next) continue
        nowMs = Math.max(nowMs, next.atMs)
        next.wake()
      }
      return work
    },
  }
}
