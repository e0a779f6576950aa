import { expect, test } from 'vitest'
import { liveThrough } from './purchase-history.ts'

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

const RUNS = 300

test(`money taken is units credited in ${RUNS} random lives of an account`, async () => {
  const { failure } = await liveThrough({ seed: 1000, runs: RUNS })
  expect(failure?.report).toBeUndefined()
}, 120_000)
