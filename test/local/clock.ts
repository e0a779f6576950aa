import * as z from 'zod/mini'
import { openState } from './state.ts'

/** The stack's clock: real time plus an offset that its controls move, shared with every thread. */
export interface LocalClock {
  nowMs(): number
  /**
   * Moves the clock of every part by milliseconds; a negative number moves it back.
   * @throws Error if the clock would leave the years 1970 to 9999.
   */
  advance(byMs: number): void
  /** Eight bytes holding the offset in ms, for `installClock` in another thread. */
  shared: SharedArrayBuffer
}

const realNow = Date.now

/**
 * Only times in these years have an ISO form of 24 characters, and only such forms sort in the order of time.
 */
const LIMITS = 'the clock shows the years 1970 to 9999 only'
const withinLimits = (offsetMs: number): boolean => {
  const ms = realNow() + offsetMs
  return ms >= 0 && ms < Date.UTC(10_000, 0)
}

const schema = z.object({ offsetMs: z.int().check(z.refine(withinLimits, LIMITS)) })

/** Starts with the offset from the state file, so that a restart does not turn time back. */
export function startClock(stateFile?: string): LocalClock {
  const remedy = 'Delete the file; the clock then starts at the real time.'
  const state = openState({ file: stateFile, schema, remedy }, () => ({ offsetMs: 0 }))
  const shared = new SharedArrayBuffer(8)
  const offset = new Float64Array(shared)
  offset[0] = state.value.offsetMs
  return {
    shared,
    nowMs: () => realNow() + (offset[0] ?? 0),
    advance(byMs) {
      const offsetMs = (offset[0] ?? 0) + byMs
      if (!withinLimits(offsetMs)) throw new Error(`The clock cannot be moved that far: ${LIMITS}.`)
      state.value.offsetMs = offsetMs
      offset[0] = offsetMs
      state.save()
    },
  }
}

/** Makes this thread's `Date` follow the clock, because deployed code reads the time from `Date` alone. */
export function installClock(shared: SharedArrayBuffer): void {
  const offset = new Float64Array(shared)
  const RealDate = Date
  const now = () => realNow() + (offset[0] ?? 0)
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length > 0 ? args : [now()], newTarget),
    apply: () => new RealDate(now()).toString(),
    get: (target, property, receiver) => (property === 'now' ? now : Reflect.get(target, property, receiver)),
  })
}
