import { expect, test } from 'vitest'
import { liveThrough } from './purchase-history.ts'

// stripe-node takes a stack with every call, which costs as much as the call.
Error.stackTraceLimit = 1

const RUNS = 300

test(`${RUNS} lives of an account by the dice, more of them by npm run torture`, async () => {
  const { failure } = await liveThrough({ seed: 1000, runs: RUNS })
  expect(failure?.report).toBeUndefined()
}, 120_000)
