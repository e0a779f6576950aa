import { describe, expect, test } from 'vitest'
import { breaksOf, failuresOf, flows, modesOf, play } from './purchase-flows.ts'
import { liveThrough } from './purchase-history.ts'
import { meetTwo } from './purchase-pairs.ts'
import {
  alertMeanwhile,
  allowedOnce,
  backoff,
  cap,
  changedPayment,
  choseMeanwhile,
  chosenBelow,
  chosenBundle,
  closedCard,
  crossings,
  declinedAtOnce,
  detachedUnseen,
  editedMetadata,
  expiredLink,
  fiftyAtOnce,
  forbidden,
  forbiddenMeanwhile,
  givenUp,
  heardOften,
  heldBackByDay,
  heldBackByHour,
  indebted,
  longOutage,
  lowAtCap,
  madeUpLink,
  neverRetry,
  otherDefaultCard,
  otherReversal,
  outage,
  promised,
  refunded,
  refusedLarge,
  refusedOnce,
  replacedByNetwork,
  reportedCard,
  restoredMeanwhile,
  switchedOff,
  switchedOffInOutage,
  tiredCard,
} from './purchase-scenarios.ts'
import { reconciled, reconciliations } from './reconcile-scenarios.ts'

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

describe('money at Stripe and in the ledger', () => {
  const titles = Object.keys(reconciliations) as (keyof typeof reconciliations)[]
  test.each(titles)('%s', (title) => reconciled(title)())
})

/** The `purchases-*.deep.test.ts` files next to this one break every call; this file plays whole histories. */
describe('50 concurrent buys', () => {
  test('without a key make one charge', () => fiftyAtOnce(() => undefined)())
  test('with the same key make one charge', () => fiftyAtOnce(() => 'key')())
  test('with different keys make one charge', () => fiftyAtOnce((n) => `key-${n}`)())
})

describe('a payment that is changed before its confirmation is not credited, and a charge raises an alarm', () => {
  test.each([{ amount: 50 }, { currency: 'eur' }, { customer: 'cus_other' }])('%o', (change) =>
    changedPayment(change)(),
  )
})

test.each<Record<string, string>>([
  {},
  { account: '6740000000000000000000a1', purchase: '0'.repeat(24), stage: 'world' },
  { account: '6740000000000000000000a1', purchase: `hold_${'0'.repeat(24)}`, stage: 'other' },
])('a payment whose metadata is edited to %o is credited by its stored id', (metadata) =>
  editedMetadata(metadata)(),
)

describe('a renewal', () => {
  test('that is declined is retried after 1, 3 and 7 hours, then paused, with a notice and a mail at first and at last', () =>
    backoff())
  test('with a card that was declined for good pauses immediately', () => neverRetry())
  test.each(['POST /v1/payment_intents', 'POST /v1/payment_intents/*/confirm', 'GET /v1'])(
    'is not declined by an outage of %s, and completes when the outage is over',
    (match) => outage(match)(),
  )
  test('waits for the end of an outage of a day in one purchase', async () => {
    for (const fault of ['429', '500'] as const) await longOutage('POST /v1/payment_intents', fault)()
  })
  test('does not go on after an outage if it was switched off meanwhile', () => switchedOffInOutage())
  test('stops at the monthly cap, and resumes without a cap', () => cap())
  test('is held back after three within an hour, until the first is an hour old', () => heldBackByHour())
  test('is held back after ten within a day, until the first is a day old', () => heldBackByDay())
  test('that is held back goes on by its mailed link, which ends no later hold', () => allowedOnce())
  test.each(Object.keys(forbidden))('never begins once %s forbids it, whatever it had read', (field) =>
    forbiddenMeanwhile(forbidden[field]!)(),
  )
  test('does not begin with a card that is no longer the default one', () =>
    forbiddenMeanwhile(otherDefaultCard)())
  test('does not begin if the units have come back meanwhile', () => restoredMeanwhile())
  test('stays paused if a refund fails and a dispute takes its place', () => otherReversal())
  test('does not begin if it was switched off meanwhile', () => switchedOff())
  test('does not charge again for what was refunded, until its owner buys', () => refunded())
  test('follows a refusal for want of units, once in a cycle of the ledger', () => refusedOnce())
  test('does not follow a refusal of more units than a bundle holds', () => refusedLarge())
  test('buys the bundle that its owner chose, within the cap', () => chosenBundle())
  test('does not buy what its owner no longer chooses', () => choseMeanwhile())
  test('tells of alerts that are crossed meanwhile', () => alertMeanwhile())
  test('is due as soon as its owner moves the threshold above the balance', () => chosenBelow())
  test('does not pay off a large debt bundle by bundle', () => indebted())
})

test('a link with a changed bit does nothing', () => madeUpLink())
test('a link works for thirty days, however often', () => expiredLink())
describe('a card', () => {
  test('that was declined for good is not tried again', () => closedCard())
  test('that is declined for the moment is tried ten times in 30 days', () => tiredCard())
  test('that is disputed as fraud is not charged until the dispute is won', () => reportedCard())
  test('that the network has replaced renews the bundle that waited', () => replacedByNetwork())
  test('that is detached at Stripe unseen makes room for the other one', () => detachedUnseen())
})

test('a key that was answered declined is never answered paid, though its card works again', () =>
  declinedAtOnce())
test('a request that the job abandoned may be sent again with its key', () => givenUp())
test.each(['POST /v1/payment_intents$', 'POST /v1/payment_intents/*/confirm', 'POST /v1'])(
  'a customer who was told that a purchase is pending is served after rate limits of %s',
  (match) => promised(match)(),
)
test('each crossing of 10 % sends one notice and one mail', () => crossings())
test('a crossing of 10 % is told at once though the cap keeps the bundle from renewing', () => lowAtCap())
test('every event does its work once, though it is delivered thirty times', () => heardOften())

describe.each(Object.values(flows))('$title', (flow) => {
  test('ends correctly when recovered by webhooks, by jobs, by both or by its client', async () => {
    expect(await failuresOf(modesOf(flow), (mode) => play(flow, mode))).toEqual([])
  })
})

test.each([flows.signUp, flows.buy, flows.renewal])(
  '$title whose process crashes after any call is completed or abandoned by the jobs',
  async (flow) => {
    const { calls } = await play(flow, 'jobs')
    const troubles = breaksOf(calls, ['crash-after'])
    expect(await failuresOf(troubles, (trouble) => play(flow, 'jobs', trouble))).toEqual([])
  },
)

test.each([
  ['the account has a bundle', 'buy', 'buy'],
  ['the account has a bundle', 'buy', 'change'],
  ['the account has a bundle', 'partial refund', 'refund'],
  ['a renewal is due', 'check-quotas', 'buy'],
  ['a request was refused for want of units', 'the renewal that a consume starts', 'check-quotas'],
  ['a request was refused for want of units', 'the renewal that a consume starts', 'buy'],
  ['a renewal is due', 'check-quotas', 'card removal'],
  ['a renewal is due, and its owner wants none', 'check-quotas', 'a cap of 0'],
  ['a renewal is due, and its owner wants none', 'check-quotas', 'auto-renewal is switched off'],
  ['a renewal is due, and its owner wants none', 'check-quotas', 'the link to stop'],
  ['a buy crashed after its call 2', 'settle-payments', 'the same buy, crashed once it is confirmed'],
  ['a buy crashed after its call 4', 'the same buy, crashed once it is confirmed', 'suspend'],
  ['a renewal is due', 'check-quotas', 'suspend'],
  ['a renewal is due, and the account is suspended', 'resume', 'check-quotas'],
  ['nobody has signed up yet', 'sign-up', 'sign-up with another card'],
])('%s: every guarantee holds if %s is interrupted at any moment by %s', async (scene, first, second) => {
  expect(await meetTwo(scene, [first, second])).toEqual([])
})

test('money taken is units credited in 25 random lives of an account', async () => {
  const { failure } = await liveThrough({ seed: 1, runs: 25 })
  expect(failure?.report).toBeUndefined()
})
