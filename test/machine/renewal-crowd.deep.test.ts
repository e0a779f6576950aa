import { expect, test, vi } from 'vitest'
import { openCrowd } from './renewal-crowd.ts'

vi.setConfig({ testTimeout: 300_000 })

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

const LIVE = { perEndpoint: 25, inAll: 100 }
const SANDBOX = { perEndpoint: 25, inAll: 25 }
const QUARTER = { perEndpoint: 25 / 4, inAll: 100 / 4 }

/**
 * Meanwhile a customer buys each second, and each payment has an event. At the pace of the third line, 5,000
 * renewals take less than five minutes.
 */
test.each([
  [300, 'Stripe’s limits', LIVE, true, 25],
  [1200, 'Stripe’s limits', LIVE, true, 72],
  [300, 'those of a sandbox', SANDBOX, false, 100],
  [300, 'a quarter of Stripe’s limits', QUARTER, true, 100],
])(
  '%i renewals due at once under %s: each is one purchase, and no customer notices',
  async (renewals, _, limits, livemode, seconds) => {
    const crowd = await openCrowd({ renewals, customers: 60 })
    const tookSeconds = await crowd.run({
      limits,
      livemode,
      isDone: () => (crowd.renewalStates().credited ?? 0) >= renewals,
      mostMs: 200_000,
      buyEveryMs: 1_000,
    })
    expect(crowd.renewalStates()).toEqual({ credited: renewals })
    expect(tookSeconds).toBeLessThan(seconds)
    expect(crowd.bought.map(({ answer }) => answer)).toEqual(crowd.bought.map(() => 'paid'))
    expect(Math.max(...crowd.bought.map(({ tookMs }) => tookMs))).toBeLessThan(5_000)
  },
)
