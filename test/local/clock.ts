import { openState } from './state.ts'

/** The stack's clock: real time plus an offset that its controls move, shared with every thread. */
export interface LocalClock {
  nowMs(): number
  /** Moves the clock of every part; negative moves it back. */
  advance(byMs: number): void
  /** Eight bytes holding the offset in ms, for `installClock` in another thread. */
  shared: SharedArrayBuffer
}

const realNow = Date.now

/** Starts at the offset that the state file remembers, so that a restart does not turn time back. */
export function startClock(stateFile?: string): LocalClock {
  const state = openState(stateFile, () => ({ offsetMs: 0 }))
  const shared = new SharedArrayBuffer(8)
  const offset = new Float64Array(shared)
  offset[0] = state.value.offsetMs
  return {
    shared,
    nowMs: () => realNow() + (offset[0] ?? 0),
    advance(byMs) {
      state.value.offsetMs = (offset[0] ?? 0) + byMs
      offset[0] = state.value.offsetMs
      state.save()
    },
  }
}

/** Makes this thread's `Date` follow the clock: deployed code knows no other way to move its time. */
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
