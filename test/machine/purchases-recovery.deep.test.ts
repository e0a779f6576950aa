import { describe, expect, test, vi } from 'vitest'
import type { Fault } from '../local/stripe/faults.ts'
import { breaksOf, failuresOf, flows, modesOf, play, spread, type Trouble } from './purchase-flows.ts'
import { HOUR_MS } from './purchase-world.ts'

vi.setConfig({ testTimeout: 300_000 })

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

describe.each([flows.buy, flows.renewal, flows.refundAfterSpending])('$title', (flow) => {
  test.each(modesOf(flow).filter((mode) => mode !== 'both'))(
    'recovers if it is broken at any call and its recovery is broken at any call: %s',
    async (mode) => {
      const { calls } = await play(flow, mode)
      const pairs: Trouble[] = []
      for (const { breaks, name } of breaksOf(calls, ['crash-after'])) {
        const { callsAfter } = await play(flow, mode, { breaks, name })
        const seconds = breaksOf(callsAfter, ['error-after'])
        pairs.push(
          ...seconds.map(({ breaks: after, name: then }) => ({ breaks, after, name: `${name}, ${then}` })),
        )
      }
      expect(await failuresOf(spread(pairs, 60), (trouble) => play(flow, mode, trouble))).toEqual([])
    },
  )
})

describe.each([flows.signUp, flows.buy, flows.signUp3ds, flows.renewal])('$title', (flow) => {
  test.each([25, 73, 8 * 24, -1])(
    'charges once if it is broken at any call, the clock moves by %i hours and Stripe forgets its keys',
    async (hours) => {
      const failures: string[] = []
      // After more than a day the same key starts a new request.
      const byClient = flow.byClient && hours < 48 ? (['client'] as const) : []
      for (const mode of ['webhooks', 'jobs', ...byClient] as const) {
        const { calls } = await play(flow, mode)
        const troubles = breaksOf(calls, ['crash-after'])
        const afterMs = hours * HOUR_MS
        failures.push(...(await failuresOf(troubles, (trouble) => play(flow, mode, { ...trouble, afterMs }))))
      }
      expect(failures).toEqual([])
    },
  )
})

/** Each fault leaves open whether the call took effect; Stripe stores a 500 under the idempotency key. */
const FAULTS: Fault[] = [{ fault: '429' }, { fault: '500' }, { fault: '500', code: 'after-commit' }]

test.each([flows.signUp, flows.buy, flows.buyDeclined, flows.signUp3ds, flows.renewal])(
  '$title: every fault of Stripe at each of its calls, recovered in every way',
  async (flow) => {
    const matches = [
      'POST /v1/payment_intents$',
      'POST /v1/payment_intents/*/confirm',
      'POST /v1/customers',
      'GET /v1',
      'POST /v1/payment_intents/*/cancel',
    ]
    const troubles = modesOf(flow).flatMap((mode) =>
      matches.flatMap((match) =>
        FAULTS.map((fault) => ({
          mode,
          fault: { ...fault, match },
          name: `${fault.fault} ${fault.code ?? ''} of ${match}`,
        })),
      ),
    )
    expect(await failuresOf(troubles, ({ mode, ...trouble }) => play(flow, mode, trouble))).toEqual([])
  },
)
