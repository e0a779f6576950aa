import type { Clock } from '../ports.ts'

/** The machine's clock. It waits with the global timer, because node:timers/promises would have to be loaded. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}
