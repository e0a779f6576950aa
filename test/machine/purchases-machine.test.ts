import { describe, expect, test } from 'vitest'
import { breaksOf, failuresOf, flows, modesOf, play } from './purchase-flows.ts'
import { liveThrough } from './purchase-history.ts'
import { meetTwo } from './purchase-pairs.ts'
import {
  backoff,
  cap,
  changedPayment,
  crossings,
  fiftyAtOnce,
  givenUp,
  heardOften,
  indebted,
  neverRetry,
  outage,
  refunded,
  restoredMeanwhile,
  switchedOff,
} from './purchase-scenarios.ts'

// stripe-node takes a stack with every call, which costs as much as the call.
Error.stackTraceLimit = 1

/** The `*.deep.test.ts` beside this one break everything everywhere; this is what each `npm test` can afford. */
describe('50 buys at once', () => {
  test('without a key: one charge', () => fiftyAtOnce(() => undefined)())
  test('with the same key: one charge', () => fiftyAtOnce(() => 'key')())
  test('each with a key of its own: one charge', () => fiftyAtOnce((n) => `key-${n}`)())
})

describe('a payment that is changed before it is confirmed is not credited, and somebody is told', () => {
  test.each([
    { amount: 50 },
    { currency: 'eur' },
    { customer: 'cus_other' },
    { metadata: { account: '6740000000000000000000a1', purchase: '0'.repeat(24) } },
  ])('%o', (change) => changedPayment(change)())
})

describe('a renewal', () => {
  test('that is declined is tried again after 1, 3 and 7 hours, then paused, and told of once', () =>
    backoff())
  test('by a card that will never work pauses at once', () => neverRetry())
  test.each(['POST /v1/payment_intents', 'POST /v1/payment_intents/*/confirm', 'GET /v1'])(
    'in an outage of %s is no decline, and done when it is over',
    (match) => outage(match)(),
  )
  test('stops at the monthly cap and goes on without it', () => cap())
  test('does not begin when the units have come back meanwhile', () => restoredMeanwhile())
  test('does not begin when it was switched off meanwhile', () => switchedOff())
  test('does not charge again for what was refunded, until its owner buys', () => refunded())
  test('does not pay off a debt bundle by bundle', () => indebted())
})

test('a request that the job gave up may be sent again with its key', () => givenUp())
test('each crossing of 10 % is told once, by notice and mail', () => crossings())
test('every event heard thirty times does its work once', () => heardOften())

describe.each(Object.values(flows))('$title', (flow) => {
  test('comes to its end by webhooks, by jobs, by both and by its client', async () => {
    expect(await failuresOf(modesOf(flow), (mode) => play(flow, mode))).toEqual([])
  })
})

test.each([flows.signUp, flows.buy, flows.renewal])(
  '$title whose process is gone after any call comes to its end by the jobs',
  async (flow) => {
    const { calls } = await play(flow, 'jobs')
    const troubles = breaksOf(calls, ['crash-after'])
    expect(await failuresOf(troubles, (trouble) => play(flow, 'jobs', trouble))).toEqual([])
  },
)

test.each([
  ['there is a bundle', 'buy', 'buy'],
  ['there is a bundle', 'buy', 'change'],
  ['there is a bundle', 'partial refund', 'refund'],
  ['a renewal is due', 'check-quotas', 'buy'],
  ['a renewal is due', 'check-quotas', 'card removal'],
  ['a buy was left after its call 2', 'settle-payments', 'the same, gone once it was confirmed'],
  ['nobody has signed up yet', 'sign-up', 'sign-up with another card'],
])('%s: %s, and at any moment %s', async (scene, first, second) => {
  expect(await meetTwo(scene, [first, second])).toEqual([])
})

test('25 lives of an account by the dice', async () => {
  const { failure } = await liveThrough({ seed: 1, runs: 25 })
  expect(failure?.report).toBeUndefined()
})
