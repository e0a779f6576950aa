import { describe, expect, test } from 'vitest'
import type { Account } from '../../core/account/account.ts'
import {
  afterDecline,
  afterReversal,
  decideRenewal,
  limitedRenewal,
  type RenewalBasis,
  renewalObstacle,
  renewalStatus,
} from '../../core/purchases/renewal.ts'
import type { Renewal } from '../../core/purchases/renewal-state.ts'
import { retryWaitMs } from '../../core/purchases/resume.ts'
import type { Quota } from '../../core/quota/quota.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../core/time.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const PLAN = { version: 1, units: 1000, priceCents: 99, currency: 'USD' }

const basis = (over: Partial<RenewalBasis> = {}): RenewalBasis => ({
  status: 'active',
  flags: { bundleAutoRenewal: true, lowQuotaNotification: true },
  bundle: 'STARTER',
  plan: PLAN,
  renewalBundle: undefined,
  renewalPlan: undefined,
  openPurchase: undefined,
  renewal: undefined,
  owed: undefined,
  renewed: undefined,
  monthlyCapCents: undefined,
  maxRenewalsPerHour: undefined,
  maxRenewalsPerDay: undefined,
  customer: { id: 'cus_1', defaultCardId: 'pm_1' },
  ...over,
})

/** A counter with 5 of 1,000 units, which has called for a renewal. */
const quota = (over: Partial<Quota> = {}): Quota =>
  ({
    left: 5,
    floor: 0,
    size: 1000,
    seq: 3,
    renewalCall: 7,
    refusedSeq: undefined,
    oversizeSeq: undefined,
    ...over,
  }) as Quota

const decide = (over: Partial<RenewalBasis> = {}, ofCounter: Partial<Quota> = {}) =>
  decideRenewal(basis(over), quota(ofCounter), NOW_MS)

const obstacle = (over: Partial<Renewal> = {}): Renewal => ({
  state: 'retrying',
  reason: 'declined',
  cardId: 'pm_1',
  failures: 2,
  ...over,
})

const BUNDLE = { name: 'STARTER', ...PLAN }
const renews = { act: 'renew', bundle: BUNDLE }

describe('a renewal', () => {
  test('is bought where the counter has called for it, with the bundle held or the one chosen', () => {
    expect(decide()).toEqual(renews)
    const renewalPlan = { ...PLAN, units: 5000, priceCents: 499 }
    expect(decide({ renewalBundle: 'PRO', renewalPlan })).toEqual({
      act: 'renew',
      bundle: { name: 'PRO', ...renewalPlan },
    })
  })

  test.each<[string, Partial<RenewalBasis>, Partial<Quota>]>([
    ['without a call', {}, { renewalCall: 0 }],
    ['of an account that is not active', { status: 'deactivated' }, {}],
    ['of an account that is suspended', { status: 'suspended' }, {}],
    ['without a bundle', { bundle: undefined, plan: undefined }, {}],
    [
      'that its owner has switched off',
      { flags: { bundleAutoRenewal: false, lowQuotaNotification: true } },
      {},
    ],
    ['while enough units are left', {}, { left: 10 }],
    ['that is paused', { renewal: obstacle({ state: 'paused' }) }, {}],
  ])('%s is not bought, and nothing is looked at again', (_, over, ofCounter) => {
    expect(decide(over, ofCounter)).toEqual({ act: 'rest' })
  })

  test('is bought below one per cent of the bundle, or once a request was refused since the last entry', () => {
    expect(decide({}, { left: 9 })).toEqual(renews)
    expect(decide({}, { left: 10 })).toEqual({ act: 'rest' })
    expect(decide({}, { left: 500, refusedSeq: 3 })).toEqual(renews)
    expect(decide({}, { left: 500, refusedSeq: 2 })).toEqual({ act: 'rest' })
  })

  test('waits for an open purchase', () => {
    expect(decide({ openPurchase: 'p1', owed: { p0: 5 } })).toEqual({ act: 'open' })
  })

  test('that was declined waits until it is tried again, to the millisecond', () => {
    const waiting = (nextAttemptAtMs?: number) => decide({ renewal: obstacle({ nextAttemptAtMs }) })
    expect(waiting(NOW_MS + 1)).toEqual({ act: 'wait', untilMs: NOW_MS + 1 })
    expect(waiting(NOW_MS)).toEqual(renews)
    expect(waiting()).toEqual(renews)
  })

  test('that was declined with another card than the default one does not wait', () => {
    const renewal = obstacle({ cardId: 'pm_0', nextAttemptAtMs: NOW_MS + HOUR_MS })
    expect(decide({ renewal })).toEqual(renews)
    expect(decide({ renewal: { ...renewal, state: 'paused' } })).toEqual(renews)
  })

  test('without a card, or while units are owed, is paused, and its owner is told why', () => {
    const customer = { id: 'cus_1', defaultCardId: undefined }
    expect(decide({ customer })).toEqual({
      act: 'note',
      renewal: { state: 'paused', reason: 'no_card', failures: 0 },
    })
    expect(decide({ customer: undefined })).toMatchObject({ act: 'note', renewal: { reason: 'no_card' } })
    const owed = { p0: 5 }
    const due = obstacle({ nextAttemptAtMs: NOW_MS })
    expect(decide({ owed, renewal: due })).toEqual({
      act: 'note',
      renewal: { state: 'paused', reason: 'units_owed', cardId: 'pm_1', failures: 2 },
    })
    // It goes on once nothing is owed, and by nothing else.
    const paused = obstacle({ state: 'paused', reason: 'units_owed' })
    expect(decide({ owed, renewal: paused })).toEqual({ act: 'rest' })
    expect(decide({ renewal: paused })).toEqual(renews)
    expect(decide({ renewal: { ...paused, reason: 'declined' } })).toEqual({ act: 'rest' })
  })

  test('of a bundle without known terms is paused, and looked at again after a day', () => {
    const gone = { bundle: 'GONE', plan: undefined }
    expect(decide(gone)).toEqual({
      act: 'note',
      renewal: { state: 'paused', reason: 'bundle_removed', cardId: 'pm_1', failures: 0 },
      untilMs: NOW_MS + DAY_MS,
    })
    const renewal = obstacle({ state: 'paused', reason: 'bundle_removed' })
    expect(decide({ ...gone, renewal })).toEqual({ act: 'wait', untilMs: NOW_MS + DAY_MS })
    // Its terms are known again.
    expect(decide({ renewal })).toEqual(renews)
  })
})

describe('a limit of the owner', () => {
  const NEXT_MONTH_MS = Date.UTC(2026, 11, 1)
  const month = { month: '2026-11', cents: 99, count: 1 }
  const capped = {
    state: 'capped',
    reason: 'monthly_cap',
    cardId: 'pm_1',
    nextAttemptAtMs: NEXT_MONTH_MS,
  } as const

  test('stops a renewal that would exceed it, and its owner is told once', () => {
    const over = { renewed: { ...month, recent: [] }, monthlyCapCents: 197 }
    expect(decide(over)).toEqual({ act: 'note', renewal: { ...capped, failures: 0 } })
    const renewal = { ...capped, failures: 0 }
    expect(decide({ ...over, renewal })).toEqual({ act: 'wait', untilMs: NEXT_MONTH_MS })
    expect(decide({ ...over, monthlyCapCents: 198, renewal })).toEqual(renews)
  })

  test('that is reached anew, or another one, is told again', () => {
    const recent = [1, 2, 3].map((minutes) => ({ atMs: NOW_MS - minutes * MINUTE_MS, count: 1 })).reverse()
    const over = { renewed: { ...month, recent } }
    const held = {
      state: 'held_back',
      reason: 'hourly_limit',
      nextAttemptAtMs: NOW_MS - 3 * MINUTE_MS + HOUR_MS,
      cardId: 'pm_1',
      failures: 0,
    } as const
    expect(decide(over)).toEqual({ act: 'note', renewal: { ...held, heldAtMs: NOW_MS } })
    const before = { ...held, heldAtMs: NOW_MS - 5 }
    expect(decide({ ...over, renewal: before })).toEqual({ act: 'wait', untilMs: held.nextAttemptAtMs })
    // The hold goes on with its link, although its end has changed.
    expect(decide({ ...over, renewal: { ...before, nextAttemptAtMs: 1 } })).toEqual({
      act: 'note',
      renewal: before,
    })
    expect(decide({ ...over, renewal: { ...before, reason: 'daily_limit' } })).toEqual({
      act: 'note',
      renewal: before,
    })
    expect(decide({ ...over, maxRenewalsPerHour: 4, renewal: before })).toEqual(renews)
  })

  test('has a link only while it holds renewals back', () => {
    const limit = { state: 'capped', reason: 'monthly_cap', nextAttemptAtMs: 5 } as const
    expect(limitedRenewal(limit, { cardId: 'pm_1', failures: 1, heldAtMs: 3 }, NOW_MS)).toEqual({
      ...limit,
      cardId: 'pm_1',
      failures: 1,
    })
  })
})

describe('a renewal that was declined', () => {
  const decline = { reason: 'insufficient_funds', retry: 'later' } as never
  const card = { reason: 'insufficient_funds', cardId: 'pm_1' }

  test('is tried again after one, three and seven hours, and then pauses', () => {
    let before: Renewal | undefined
    for (const [failures, hours] of [
      [1, 1],
      [2, 3],
      [3, 7],
    ] as const) {
      before = afterDecline(before, 'pm_1', decline, NOW_MS)
      expect(before).toEqual({
        state: 'retrying',
        ...card,
        failures,
        nextAttemptAtMs: NOW_MS + hours * HOUR_MS,
      })
    }
    expect(afterDecline(before, 'pm_1', decline, NOW_MS)).toEqual({ state: 'paused', ...card, failures: 4 })
    // Another card begins again.
    expect(afterDecline(before, 'pm_2', decline, NOW_MS)).toMatchObject({ state: 'retrying', failures: 1 })
  })

  test('for good pauses at once', () => {
    const never = { reason: 'card_lost', retry: 'never' } as never
    expect(afterDecline(undefined, 'pm_1', never, NOW_MS)).toEqual({
      state: 'paused',
      reason: 'card_lost',
      cardId: 'pm_1',
      failures: 1,
    })
  })
})

describe('a payment that went back', () => {
  const outcome = (renewal: Renewal | undefined, cents: number, isLow: boolean) =>
    afterReversal({ renewal } as never, 'pm_1', cents, isLow)
  const reversed = { state: 'paused', reason: 'payment_reversed', cardId: 'pm_1', failures: 0 } as const

  test('pauses renewal if few units are left, unless it is paused with this card already', () => {
    expect(outcome(undefined, 99, true)).toEqual({ renewal: reversed })
    expect(outcome(undefined, 99, false)).toEqual({})
    expect(outcome(undefined, 0, true)).toEqual({})
    expect(outcome(obstacle(), 99, true)).toEqual({ renewal: reversed })
    expect(outcome(obstacle({ state: 'paused' }), 99, true)).toEqual({})
    expect(outcome(obstacle({ state: 'paused', cardId: 'pm_0' }), 99, true)).toEqual({ renewal: reversed })
  })

  test('and returned ends that pause, and no other', () => {
    const end = outcome(reversed, -99, true)
    expect(end).toEqual({ renewal: undefined })
    expect(Object.keys(end)).toEqual(['renewal'])
    expect(outcome(reversed, 0, true)).toEqual({})
    expect(outcome(reversed, 1, false)).toEqual({})
    expect(outcome(obstacle(), -99, true)).toEqual({})
    expect(outcome(undefined, -99, true)).toEqual({})
  })
})

describe('what keeps a bundle from renewing', () => {
  test('is over with another default card, and with a bundle that is sold again', () => {
    const { customer } = basis()
    const of = (renewal: Renewal | undefined, over: Partial<RenewalBasis> = {}) =>
      renewalObstacle({ ...basis(over), renewal })
    expect(of(obstacle())).toEqual(obstacle())
    expect(of(obstacle({ cardId: 'pm_0' }))).toBeUndefined()
    expect(of(obstacle(), { customer: undefined })).toBeUndefined()
    expect(of(obstacle({ cardId: undefined }), { customer: undefined })).toMatchObject({ failures: 2 })
    expect(of(undefined, { customer })).toBeUndefined()
    const removed = obstacle({ reason: 'bundle_removed' })
    expect(of(removed)).toBeUndefined()
    expect(of(removed, { bundle: 'GONE', plan: undefined })).toEqual(removed)
  })
})

describe('auto-renewal as its owner sees it', () => {
  const status = (over: Partial<RenewalBasis> & { quota?: Quota | undefined } = {}) =>
    renewalStatus({ ...basis(), quota: quota({ left: 500 }), ...over } as unknown as Account)
  const ready = {
    state: 'on',
    reason: undefined,
    nextAttemptAtMs: undefined,
    monthlyCapCents: undefined,
    below: 0.01,
    bundle: 'STARTER',
    maxPerHour: 3,
    maxPerDay: 10,
  }

  test('is on and ready, or off', () => {
    expect(status()).toEqual(ready)
    expect(
      status({ flags: { bundleAutoRenewal: false, lowQuotaNotification: true }, renewal: obstacle() }),
    ).toEqual({
      ...ready,
      state: 'off',
    })
    expect(status({ bundle: undefined, plan: undefined })).toEqual({
      ...ready,
      state: 'off',
      bundle: undefined,
    })
  })

  test('has what keeps the bundle from renewing, and when it is tried again', () => {
    expect(status({ renewal: obstacle({ nextAttemptAtMs: 9 }), monthlyCapCents: 500 })).toEqual({
      ...ready,
      state: 'retrying',
      reason: 'declined',
      nextAttemptAtMs: 9,
      monthlyCapCents: 500,
    })
    expect(status({ bundle: 'GONE', plan: undefined })).toMatchObject({
      state: 'paused',
      reason: 'bundle_removed',
    })
  })

  test('says why requests are refused although nothing keeps it from renewing', () => {
    const low = quota()
    expect(status({ quota: low, openPurchase: 'p1' })).toMatchObject({ state: 'on', reason: 'purchase_open' })
    expect(status({ openPurchase: 'p1' })).toMatchObject({ reason: undefined })
    expect(status({ quota: low })).toMatchObject({ reason: undefined })
    expect(status({ quota: quota({ oversizeSeq: 3 }) })).toMatchObject({
      reason: 'request_larger_than_bundle',
    })
    expect(status({ quota: quota({ oversizeSeq: 2 }) })).toMatchObject({ reason: undefined })
    expect(status({ quota: undefined })).toMatchObject({ state: 'on', reason: undefined, below: 0.01 })
  })
})

test('an open purchase is tried again after a quarter of its age: at least a minute, at most a quarter of an hour', () => {
  const waitMinutes = (age: number) =>
    retryWaitMs({ createdAtMs: NOW_MS }, NOW_MS + age * MINUTE_MS) / MINUTE_MS
  expect([0, 1, 4, 8, 60, 61, 1440].map(waitMinutes)).toEqual([1, 1, 1, 2, 15, 15, 15])
})
