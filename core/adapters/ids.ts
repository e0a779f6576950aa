import { randomBytes, randomUUID } from 'node:crypto'
import type { Clock, Ids } from '../ports.ts'

/** Ids from the operating system's randomness. The time in an account id comes from `clock`. */
export function randomIds(clock: Clock): Ids {
  const hex = (bytes: number) => randomBytes(bytes).toString('hex')
  return {
    accountId: () =>
      Math.floor(clock.nowMs() / 1000)
        .toString(16)
        .padStart(8, '0') + hex(8),
    uuid: () => randomUUID(),
    hex,
  }
}
