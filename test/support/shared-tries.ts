import { createHash } from 'node:crypto'
import { beginTry, numberTry } from '../../core/cards/shared-limits.ts'
import type { Key } from '../../core/table/keys.ts'
import type { Write } from '../../core/table/table.ts'

/** The fingerprint that the double of Stripe gives a card number. */
export const fingerprintOf = (number: string): string =>
  createHash('sha256').update(number).digest('base64').replace(/\W/g, '').slice(0, 16)

/** Numbers of test cards that never end as proved, or that tests leave in the middle of 3-D Secure. */
const NUMBERS = [
  ...['4242424242424242', '5555555555554444', '4000000000000002', '4000000000009995', '4000000000009987'],
  ...['4000000000009979', '4000000000000069', '4000000000000119', '4000000000000127', '4000002760003184'],
  ...['4000008400001629', '4000002500003155', '4000000000000341', '4100000000000019', '4000000000000101'],
]

const keyIn = (write: Write | undefined): Key[] => (write && 'update' in write ? [write.update] : [])

/**
 * Forgets what the tests of a file have tried by `nowMs` with the same numbers and as strangers. Accounts share these
 * counts, so that one test would use up the limits of the next.
 */
export const forgetSharedTries = (nowMs: number): Write[] =>
  [
    ...NUMBERS.flatMap((number) => keyIn(numberTry(fingerprintOf(number), nowMs))),
    ...keyIn(beginTry({ id: '', customer: undefined }, nowMs)[1]),
  ].map((remove) => ({ remove }))
