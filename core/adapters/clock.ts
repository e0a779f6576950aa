import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '../ports.ts'

export const systemClock: Clock = { nowMs: () => Date.now(), wait: (ms) => wait(ms) }
