import { createHash } from 'node:crypto'
import { randomFrom } from '../machine/random.ts'

/** Choices that a seed and a name determine. */
export interface Dice {
  /** Whether something happens whose share is `part`. */
  chance(part: number): boolean
  pick<T>(from: readonly T[]): T
}

export function diceOf(seed: number, name: string): Dice {
  const random = randomFrom(createHash('sha256').update(`${seed} ${name}`).digest().readInt32BE())
  return {
    chance: (part) => random() < part,
    pick: (from) => from[Math.floor(random() * from.length)] as (typeof from)[number],
  }
}
