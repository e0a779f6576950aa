import { expect, test, vi } from 'vitest'
import { openCrowd } from './renewal-crowd.ts'

vi.setConfig({ testTimeout: 300_000 })

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

const LIVE = { perEndpoint: 25, inAll: 100 }
const SANDBOX = { perEndpoint: 25, inAll: 25 }
const QUARTER = { perEndpoint: 25 / 4, inAll: 100 / 4 }

test.each([
  ['300', 'Stripe’s limits', 300, LIVE, true, 60],
  ['300', 'those of a sandbox', 300, SANDBOX, false, 60],
  ['300', 'a quarter of Stripe’s limits', 300, QUARTER, true, 60],
  ['5,000', 'Stripe’s limits', 5000, LIVE, true, 300],
])('%s renewals due at once under %s', async (_, _of, renewals, limits, livemode, seconds) => {
  const crowd = await openCrowd({ renewals, customers: 60 })
  const took = await crowd.run({
    limits,
    livemode,
    isDone: () => (crowd.renewalStates().credited ?? 0) >= renewals,
    mostMs: 400_000,
    buyEveryMs: 1_000,
  })
  const slowest = Math.max(...crowd.bought.map(({ tookMs }) => tookMs))
  console.error({
    took,
    states: crowd.renewalStates(),
    refused: crowd.refused,
    n: crowd.bought.length,
    answers: crowd.bought.filter(({ answer }) => answer !== 'paid'),
    slowest,
  })
  expect(took).toBeLessThan(seconds)
})
