import assert from 'node:assert/strict'
import { type Expression, expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { books, checkExpiry, settle } from './purchase-checks.ts'
import { through } from './purchase-faults.ts'
import { held } from './purchase-flows.ts'
import {
  DAY_MS,
  DECLINED,
  DISPUTED,
  GOOD,
  HOUR_MS,
  MINUTE_MS,
  OTHER,
  openPurchaseWorld,
  type Purchases,
  type PurchaseWorld,
  purchases,
  REFUND_FAILS,
  SECOND_MS,
  type Snapshot,
} from './purchase-world.ts'

/** A scenario with a fixed result. @throws AssertionError if the result differs. */
export type Scenario = (functions?: Purchases) => Promise<void>

const credited = (world: PurchaseWorld): number =>
  books(world).purchases.filter(({ state }) => state === 'credited').length

const inWorld =
  (story: (world: PurchaseWorld) => Promise<void>): Scenario =>
  async (functions = purchases) =>
    story(await openPurchaseWorld(functions))

/** Makes the default card behave like Stripe's test card of this number from now on. */
async function bank(world: PurchaseWorld, number: string): Promise<void> {
  const memory = world.stripe.state.cards[(await world.defaultCard()) ?? '']
  if (memory) memory.number = number
}

const LOST = '4000000000009987'

export const fiftyAtOnce = (key: (n: number) => string | undefined): Scenario =>
  inWorld(async (world) => {
    await held(world)
    const before = credited(world)
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => world.buy(world.ports, key(n))))
    const refused = ['pending', 'purchase_open', 'request_in_flight']
    assert.ok(answers.includes('paid'))
    assert.deepEqual(
      answers.filter((answer) => answer !== 'paid' && !refused.includes(answer)),
      [],
    )
    await settle(world, 'fifty at once')
    assert.equal(credited(world) - before, 1)
  })

/** The payment is changed between its creation and its confirmation. */
export const changedPayment = (change: {
  amount?: number
  currency?: string
  customer?: string
  metadata?: object
}): Scenario =>
  inWorld(async (world) => {
    await held(world)
    const before = credited(world)
    const { ports } = through(world.ports, {
      before: async () => {
        const payment = Object.values(world.stripe.state.paymentIntents).at(-1)
        if (payment?.status === 'requires_confirmation') Object.assign(payment, change)
      },
    })
    assert.notEqual(await world.buy(ports), 'paid')
    for (const waitMs of [2 * MINUTE_MS, 30 * MINUTE_MS]) {
      world.advance(waitMs)
      await world.jobs()
    }
    assert.equal(credited(world), before, 'credited for another payment')
    assert.equal(books(world).profile.openPurchase, undefined)
    checkExpiry(world, 'changed payment')
    // The sign-up made the first charge. Any other charge must raise an alarm.
    assert.equal(world.alarms.length > 0, world.charges().length > 1, 'an alarm exactly for another charge')
  })

/** The payment's metadata is edited between its creation and its confirmation, and as often as anybody likes. */
export const editedMetadata = (metadata: Record<string, string>): Scenario =>
  inWorld(async (world) => {
    await held(world)
    const before = credited(world)
    const { ports } = through(world.ports, {
      before: async () => {
        const payment = Object.values(world.stripe.state.paymentIntents).at(-1)
        if (payment?.status === 'requires_confirmation') payment.metadata = metadata
      },
    })
    assert.equal(await world.buy(ports), 'paid')
    await settle(world, 'edited')
    assert.equal(credited(world), before + 1, 'credited by the stored id')
  })

/** The job abandoned a request whose process had died: the same request may be sent again. */
export const givenUp = inWorld(async (world) => {
  await held(world)
  const { ports } = through(world.ports, { breaks: [{ at: 3, kind: 'crash-after' }] })
  assert.equal(await world.buy(ports, 'key-1'), 'gone')
  world.advance(2 * MINUTE_MS)
  await world.jobs()
  assert.equal(await world.buy(world.ports, 'key-1'), 'paid')
  await settle(world, 'sent again')
  assert.equal(credited(world), 2)
})

/** A declined renewal is retried after 1, 3 and 7 hours, then no more. */
export const backoff = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(5)
  await bank(world, DECLINED)
  const triedMs: number[] = []
  const startMs = world.nowMs()
  for (let minutes = 0; minutes < 26 * 60; minutes += 10) {
    const before = books(world).purchases.length
    await world.job('checkQuotas')
    if (books(world).purchases.length > before) triedMs.push(world.nowMs() - startMs)
    world.advance(10 * MINUTE_MS)
  }
  assert.deepEqual(
    triedMs.map((ms) => Math.round(ms / HOUR_MS)),
    [0, 1, 4, 11],
  )
  const { profile, notices, mails } = books(world)
  assert.equal(profile.renewal?.state, 'paused')
  const about = (names: string[]) => names.filter((name) => name.startsWith('renewal')).sort()
  assert.deepEqual(about(notices), ['renewal_declined', 'renewal_paused'])
  // The other mail says at the sign-up that renewal is on.
  assert.deepEqual(about(mails), ['renewal-declined', 'renewal-state', 'renewal-state'])
  await settle(world, 'paused')
})

/** A card that was declined for good pauses the renewal immediately. */
export const neverRetry = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(5)
  await bank(world, LOST)
  await world.job('checkQuotas')
  assert.equal(books(world).profile.renewal?.state, 'paused')
  await settle(world, 'never')
  assert.equal(books(world).purchases.filter(({ state }) => state === 'declined').length, 1)
})

/** An outage of Stripe is not a decline: the renewal completes when the outage is over. */
export const outage = (match: string, fault: '429' | '500' = '429'): Scenario =>
  inWorld(async (world) => {
    await held(world)
    await world.consumeTo(5)
    world.stripe.faults.add({ fault, match })
    for (let minutes = 0; minutes < 30; minutes += 2) {
      world.advance(2 * MINUTE_MS)
      await world.job('checkQuotas')
      await world.job('settlePayments')
    }
    assert.equal(books(world).profile.renewal, undefined)
    await settle(world, 'the outage is over')
    assert.equal(books(world).quota.left, 1005)
  })

/** However long an outage lasts, a waiting renewal is one purchase, which is tried less and less often. */
export const longOutage = (match: string, fault: '429' | '500'): Scenario =>
  inWorld(async (world) => {
    await held(world)
    await world.consumeTo(5)
    world.stripe.faults.add({ fault, match })
    let calls = 0
    const { ports } = through(world.ports, { before: async () => calls++ })
    for (let minutes = 0; minutes < 24 * 60; minutes += 2) {
      world.advance(2 * MINUTE_MS)
      await world.job('checkQuotas')
      await world.job('settlePayments', ports)
    }
    assert.equal(books(world).purchases.length, 2, 'one purchase for one renewal')
    assert.ok(calls < 2_000, `${calls} calls of settle-payments in a day`)
    await settle(world, 'the long outage is over')
    assert.equal(books(world).purchases.length, 2, 'the same purchase afterwards')
    assert.equal(books(world).quota.left, 1005)
  })

/** A customer who was told that a purchase is pending is served once the rate limit allows it. */
export const promised = (match: string): Scenario =>
  inWorld(async (world) => {
    await held(world)
    world.stripe.faults.add({ fault: '429', match })
    assert.equal(await world.buy(world.ports, 'first'), 'pending')
    for (let minutes = 0; minutes < 12; minutes += 2) {
      world.advance(2 * MINUTE_MS)
      await world.job('checkQuotas')
      await world.job('settlePayments')
    }
    assert.equal(await world.change('DEVELOPER'), 'purchase_open')
    world.stripe.faults.clear()
    assert.equal(await world.change('DEVELOPER'), 'paid', 'another order takes the first one along')
    assert.equal(await world.buy(world.ports, 'first'), 'paid')
    assert.deepEqual(
      books(world).purchases.map(({ kind, state }) => `${kind} ${state}`),
      ['signup credited', 'buy credited', 'change credited'],
    )
    await settle(world, 'promised')
  })

/** The renewals of a month cost no more than the owner's cap. */
export const cap = inWorld(async (world) => {
  await held(world)
  assert.equal(await world.setCap(150), 'done')
  for (let times = 0; times < 2; times++) {
    await world.consumeTo(5)
    world.advance(MINUTE_MS)
    await world.jobs()
  }
  assert.equal(credited(world), 2)
  assert.equal(books(world).profile.renewal?.state, 'capped')
  await settle(world, 'capped')
  assert.equal(await world.setCap(undefined), 'done')
  await settle(world, 'without a cap')
  assert.equal(credited(world), 3)
})

/** A refusal for want of units renews the bundle, once in a cycle of the ledger. */
export const refusedOnce = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(20)
  for (const units of [30, 40]) assert.equal(await world.consume(units), 'quota_exhausted')
  await world.renewAtOnce()
  await settle(world, 'renewed')
  assert.equal(credited(world), 2, 'not renewed once')
  assert.equal(books(world).quota.left, 1020)
  await world.setRenewal(false)
  await world.setRenewal(true)
  await settle(world, 'looked at again')
  assert.equal(credited(world), 2, 'renewed again for the same refusal')
})

/** A request for more units than a bundle holds renews nothing. */
export const refusedLarge = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(900)
  for (let times = 0; times < 3; times++) {
    assert.equal(await world.consume(1001), 'quota_exhausted')
    await world.renewAtOnce()
    await settle(world, 'refused')
  }
  assert.equal(credited(world), 1, 'renewed for a request that is refused all the same')
})

/** Renewals buy the bundle that the owner chose, within the cap, and the account then holds it. */
export const chosenBundle = inWorld(async (world) => {
  await held(world)
  assert.equal(await world.choose({ renewalBundle: 'DEVELOPER', monthlyCapCents: 998 }), 'done')
  await world.consumeTo(5)
  await settle(world, 'capped')
  assert.equal(credited(world), 1, 'charged more than the cap')
  assert.equal(await world.setCap(999), 'done')
  await settle(world, 'within the cap')
  assert.equal(books(world).profile.bundle, 'DEVELOPER')
  assert.equal(books(world).quota.left, 100_005)
})

/** The owner chooses another bundle after the job read the account and before the renewal begins. */
export const choseMeanwhile = inWorld(async (world) => {
  await held(world)
  await world.choose({ renewalBundle: 'DEVELOPER' })
  await world.consumeTo(5)
  const { ports } = through(world.ports, {
    before: async () => {
      if (books(world).notices.includes('low_quota')) await world.choose({ renewalBundle: undefined })
    },
  })
  await world.job('checkQuotas', ports)
  await settle(world, 'chosen')
  assert.equal(books(world).profile.bundle, 'STARTER', 'bought what was no longer chosen')
  assert.equal(books(world).quota.left, 1005)
})

/** Further alerts are crossed while the job tells of the first one, at each of its calls. */
export const alertMeanwhile = inWorld(async (first) => {
  await held(first)
  await first.setAlerts([500, 300])
  await first.consumeTo(450)
  const snapshot = first.snapshot()
  for (let at = 1; ; at++) {
    const world = await openPurchaseWorld(first.functions, snapshot)
    let came = false
    const { ports } = through(world.ports, {
      before: async (call) => {
        if (call !== at) return
        came = true
        await world.consumeTo(250)
      },
    })
    await world.job('checkQuotas', ports)
    if (!came) return
    await settle(world, `told before call ${at}`)
    assert.equal(world.alertCrossings.length, 2, `crossed before call ${at}`)
  }
})

/** A renewal is due as soon as its owner moves the threshold above the balance. */
export const chosenBelow = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(300)
  await world.choose({ below: 0.4 })
  await settle(world, 'due')
  assert.equal(books(world).quota.left, 1300)
  await world.consumeTo(400)
  await settle(world, 'at the threshold')
  assert.equal(credited(world), 2)
  await world.consume(1)
  await settle(world, 'below it')
  assert.equal(books(world).quota.left, 1399)
})

/** Low again after a renewal, so that another one is due. @returns the prepared world as a snapshot. */
let dueAgain: Promise<Snapshot> | undefined
const dueAgainSnapshot = (): Promise<Snapshot> => {
  dueAgain ??= (async () => {
    const world = await openPurchaseWorld()
    await held(world)
    await world.consumeTo(5)
    await world.job('checkQuotas')
    world.advance(2 * MINUTE_MS)
    await world.jobs()
    await world.consumeTo(5)
    return world.snapshot()
  })()
  return dueAgain
}

type Forbid = (world: PurchaseWorld) => Promise<unknown>
const setProfile =
  (set: Expression): Forbid =>
  (world) =>
    world.ports.table.update(keys.profile(world.accountId), set)

/** What forbids a renewal that is about to begin, by the field of the profile that says so. */
export const forbidden: Readonly<Record<string, Forbid>> = {
  flags: (world) => world.stopByLink(),
  monthlyCapCents: (world) => world.setCap(0),
  maxRenewalsPerHour: (world) => world.choose({ maxRenewalsPerHour: 1 }),
  maxRenewalsPerDay: (world) => world.choose({ maxRenewalsPerDay: 1 }),
  renewal: async (world) => {
    const cardId = await world.defaultCard()
    const paused = { state: 'paused', reason: 'payment_reversed', cardId, failures: 0 }
    await setProfile(expr`SET #renewal = ${paused}`)(world)
  },
  owed: setProfile(expr`SET #owed = ${{ '0197f2a0c3d4e5f60718293a': 1 }}`),
  renewed: async (world) => {
    const recent = [{ atMs: world.nowMs(), count: 3 }]
    await setProfile(expr`SET #renewed = ${{ month: '2026-11', cents: 297, count: 3, recent }}`)(world)
  },
}

/** Another card becomes the default one. */
export const otherDefaultCard: Forbid = (world) =>
  world.ports.table.update(keys.customer(world.accountId), expr`SET #defaultCardId = ${'pm_other'}`)

/** Once a renewal is forbidden, none begins, at whatever call the job is then. */
export const forbiddenMeanwhile =
  (forbid: Forbid): Scenario =>
  async (functions = purchases) => {
    const snapshot = await dueAgainSnapshot()
    let calls = 1
    for (let at = 1; at <= calls; at++) {
      const world = await openPurchaseWorld(functions, snapshot)
      let begun: number | undefined
      const broken = through(world.ports, {
        before: async (now) => {
          if (now !== at) return
          await forbid(world)
          begun = books(world).purchases.length
        },
      })
      await world.job('checkQuotas', broken.ports)
      calls = Math.max(calls, broken.calls.length)
      // A run without the change may make fewer calls.
      if (begun !== undefined)
        assert.equal(books(world).purchases.length, begun, `a renewal began after call ${at}`)
    }
  }

/** Uses up the bundle again and again. @returns the number of renewals so far. */
async function useUp(world: PurchaseWorld, times: number, everyMs = MINUTE_MS): Promise<number> {
  for (let time = 0; time < times; time++) {
    await world.consumeTo(5)
    await world.job('checkQuotas')
    world.advance(everyMs)
    await world.job('settlePayments')
  }
  return books(world).purchases.filter(({ kind, state }) => kind === 'renewal' && state === 'credited').length
}

/** A fourth renewal within an hour is held back until the first is an hour old. */
export const heldBackByHour = inWorld(async (world) => {
  await held(world)
  const startMs = world.nowMs()
  assert.equal(await useUp(world, 6), 3)
  const { renewal } = books(world).profile
  assert.deepEqual(
    [renewal?.state, renewal?.reason, renewal?.nextAttemptAtMs],
    ['held_back', 'hourly_limit', startMs + HOUR_MS],
  )
  world.advance(startMs + HOUR_MS - 1 - world.nowMs())
  assert.equal(await useUp(world, 1, 0), 3)
  world.advance(1)
  assert.equal(await useUp(world, 2, 0), 4)
  await settle(world, 'held back')
})

/** An eleventh renewal within a day is held back until the first is a day old. */
export const heldBackByDay = inWorld(async (world) => {
  await held(world)
  const startMs = world.nowMs()
  assert.equal(await useUp(world, 12, HOUR_MS), 10)
  const { renewal } = books(world).profile
  assert.deepEqual([renewal?.reason, renewal?.nextAttemptAtMs], ['daily_limit', startMs + DAY_MS])
  world.advance(startMs + DAY_MS - world.nowMs())
  assert.equal(await useUp(world, 1, 0), 11)
  await settle(world, 'held back')
})

/** The link in the mail about a hold ends this hold, once, and no later one. */
export const allowedOnce = inWorld(async (world) => {
  await held(world)
  assert.equal(await useUp(world, 4), 3)
  const { heldAtMs = 0 } = books(world).profile.renewal ?? {}
  assert.equal(await world.allowByLink(heldAtMs), 'allowed')
  assert.equal(await world.allowByLink(heldAtMs), 'allowed')
  assert.equal(await useUp(world, 4), 6)
  assert.equal(await world.allowByLink(heldAtMs), 'nothing held back')
  assert.equal(await useUp(world, 1), 6)
  await settle(world, 'allowed once')
})

const isOn = (world: PurchaseWorld): boolean => books(world).profile.flags.bundleAutoRenewal

/** A code that Bursar did not make does nothing. */
export const madeUpLink = inWorld(async (world) => {
  await held(world)
  const code = Buffer.from(world.stopCode(), 'base64url')
  for (let at = 12; at < code.length; at++) {
    const changed = Buffer.from(code)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    assert.equal(await world.openLink(changed.toString('base64url')), 'invalid_code')
  }
  assert.ok(isOn(world))
})

/** A code works for thirty days. */
export const expiredLink = inWorld(async (world) => {
  await held(world)
  const code = world.stopCode()
  world.advance(30 * DAY_MS)
  assert.equal(await world.openLink(code), 'invalid_code')
  assert.ok(isOn(world))
  world.advance(-1)
  assert.equal(await world.openLink(code), 'stopped')
  assert.ok(!isOn(world))
  assert.equal(await world.openLink(code), 'stopped')
  await settle(world, 'stopped')
})

/** The units come back just before a renewal begins, so the renewal is no longer needed. */
export const restoredMeanwhile = inWorld(async (world) => {
  await held(world, REFUND_FAILS)
  await world.refund(0, 99)
  await world.deliver()
  assert.equal(await world.consumeTo(5), 'done')
  world.advance(6 * SECOND_MS)
  // The first transaction gives the notice, the second begins the renewal.
  const { ports, calls } = through(world.ports, {
    before: async () => {
      if (calls.at(-1) === 'table.transact') await world.deliver()
    },
  })
  await world.job('checkQuotas', ports)
  await settle(world, 'restored')
  assert.equal(credited(world), 1, 'renewed though there are units')
})

/** Auto-renewal is switched off after the job read the account and before the renewal begins. */
export const switchedOff = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(5)
  const { ports } = through(world.ports, {
    before: async () => {
      if (books(world).notices.includes('low_quota')) await world.setRenewal(false)
    },
  })
  await world.job('checkQuotas', ports)
  await settle(world, 'switched off')
  assert.equal(credited(world), 1, 'renewed though it is off')
})

/** Auto-renewal is switched off while a renewal waits for the end of an outage. */
export const switchedOffInOutage = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(5)
  world.stripe.faults.add({ fault: '429', match: 'POST /v1/payment_intents/*/confirm' })
  await world.job('checkQuotas')
  assert.equal(await world.setRenewal(false), 'done')
  await settle(world, 'switched off in an outage')
  assert.equal(credited(world), 1, 'renewed though it is off')
})

/** A refund takes back units, but does not cause a renewal that charges the customer again. */
export const refunded = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(300)
  assert.ok(await world.refund(0))
  await settle(world, 'refunded')
  assert.equal(credited(world), 1, 'charged again for what was given back')
  assert.equal(books(world).profile.renewal?.state, 'paused')
  assert.equal(await world.buy(), 'paid')
  await settle(world, 'bought')
  assert.equal(books(world).quota.left, 300)
  assert.equal(await world.consumeTo(5), 'done')
  await settle(world, 'renewed')
  assert.equal(books(world).quota.left, 1005)
})

/**
 * A refund fails, and a dispute of the same charge takes its place: the money stays away, so renewal stays
 * paused. The customer says that nothing was delivered; a dispute for fraud would pause renewal by itself.
 */
export const otherReversal = inWorld(async (world) => {
  assert.equal(await world.signUp(await world.newCard(DISPUTED)), 'paid')
  for (const dispute of Object.values(world.stripe.state.disputes)) dispute.reason = 'product_not_received'
  await world.consumeTo(1_005)
  const [charge] = world.charges()
  assert.ok(charge)
  charge.amount_refunded = 40
  await world.deliver()
  await settle(world, 'refunded in part and disputed')
  assert.equal(books(world).profile.renewal?.reason, 'payment_reversed')
  charge.amount_refunded = 0
  // Any event of the charge makes the ledger follow it.
  const about = Object.values(world.stripe.state.events).find(({ type }) => type === 'charge.dispute.created')
  assert.ok(about)
  const { id: _, ...again } = about
  await world.receive({ ...again, id: 'evt_again' })
  await settle(world, 'disputed in full')
  assert.equal(books(world).profile.renewal?.reason, 'payment_reversed')
  assert.equal(credited(world), 1, 'charged again for what was given back')
})

/** Repeated renewals of a small bundle do not pay off a large debt. */
export const indebted = inWorld(async (world) => {
  await held(world)
  assert.equal(await world.change('DEVELOPER'), 'paid')
  assert.equal(await world.change('STARTER'), 'paid')
  await world.consumeTo(500)
  assert.ok(await world.refund(1))
  await settle(world, 'refunded')
  const card = await world.newCard(OTHER)
  await world.setRenewal(false)
  assert.equal(await world.changeCard(card), 'proved')
  await world.setRenewal(true)
  await settle(world, 'in debt, with another card')
  assert.equal(credited(world), 3, 'charged for nothing')
})

/** A refusal has called for a renewal that the cap forbids until the month ends; then 10 % is crossed. */
export const lowAtCap = inWorld(async (world) => {
  await held(world)
  assert.equal(await world.setCap(0), 'done')
  await world.consumeTo(150)
  assert.equal(await world.consume(500), 'quota_exhausted')
  await world.job('checkQuotas')
  assert.equal(books(world).profile.renewal?.state, 'capped')
  await world.consumeTo(60)
  await world.job('checkQuotas')
  assert.ok(books(world).notices.includes('low_quota'), 'the notice waits for the end of the month')
  await settle(world, 'low at the cap')
})

/** Each crossing of the threshold sends one notice and one mail. */
export const crossings = inWorld(async (world) => {
  await held(world, GOOD)
  await world.setRenewal(false)
  for (const times of [1, 2]) {
    await world.consumeTo(60)
    await Promise.all([world.job('checkQuotas'), world.job('checkQuotas'), world.consume(1)])
    await settle(world, `crossing ${times}`)
    const low = books(world).notices.filter((each) => each === 'low_quota')
    assert.equal(low.length, times)
    assert.equal(await world.buy(), 'paid')
    await settle(world, `refill ${times}`)
  }
})

/** Every event does its work once, however often it is delivered. */
export const heardOften = inWorld(async (world) => {
  await held(world, DISPUTED)
  await world.setRenewal(false)
  await world.refund(0, 10).catch(() => false)
  await world.decideDispute('winning_evidence')
  await world.refund(0, 10)
  const events = Object.values(world.stripe.state.events)
  for (let times = 0; times < 3; times++) {
    await Promise.all(events.flatMap((event) => Array.from({ length: 10 }, () => world.receive(event))))
  }
  await settle(world, 'heard often')
  assert.equal(credited(world), 1)
})

/** A decline for good closes the card: its owner may click as often as he likes, the bank is asked once. */
export const closedCard = inWorld(async (world) => {
  await held(world)
  await bank(world, LOST)
  const before = Object.keys(world.stripe.state.charges).length
  for (let clicks = 0; clicks < 5; clicks++) {
    assert.equal(await world.buy(), 'card_declined')
    world.advance(HOUR_MS)
  }
  assert.equal(Object.keys(world.stripe.state.charges).length - before, 1, 'the bank was asked again')
  await settle(world, 'closed')
})

/** A request is declined although no purchase begins. Its key stays declined when the card works again. */
export const declinedAtOnce = inWorld(async (world) => {
  await held(world)
  await world.setRenewal(false)
  await bank(world, LOST)
  assert.equal(await world.buy(), 'card_declined')
  assert.equal(await world.buy(world.ports, 'key-1'), 'card_declined')
  const paymentMethod = (await world.defaultCard()) ?? ''
  world.stripe.bank.updateCard({ paymentMethod, number: GOOD, expYear: 2044 })
  await world.deliver()
  assert.equal(await world.buy(world.ports, 'key-1'), 'card_declined')
  assert.equal(await world.buy(world.ports, 'key-2'), 'paid')
  await settle(world, 'declined at once')
})

/** A card that is declined for the moment is tried ten times in 30 days at most. */
export const tiredCard = inWorld(async (world) => {
  await held(world)
  await world.setRenewal(false)
  await bank(world, DECLINED)
  const before = Object.keys(world.stripe.state.charges).length
  for (let clicks = 0; clicks < 20; clicks++) {
    await world.buy()
    world.advance(4 * HOUR_MS)
  }
  assert.equal(Object.keys(world.stripe.state.charges).length - before, 10, 'tries of the card')
  await settle(world, 'tired')
})

/** A disputed card is not charged while much is left, and again once the dispute is won. */
export const reportedCard = inWorld(async (world) => {
  await held(world)
  const [charge] = world.charges()
  world.stripe.bank.dispute({ charge: charge?.id ?? '' })
  await world.deliver()
  assert.equal(books(world).profile.renewal?.reason, 'card_disputed')
  assert.equal(await world.buy(), 'card_declined')
  await world.consumeTo(5)
  await settle(world, 'reported')
  assert.equal(credited(world), 1, 'a disputed card was charged')
  assert.ok(await world.decideDispute('winning_evidence'))
  await settle(world, 'won')
  await world.consumeTo(5)
  await settle(world, 'low')
  assert.equal(credited(world), 2, 'renewed once the dispute is won')
})

/** The network replaces the card behind the payment method: the renewal that waited goes on. */
export const replacedByNetwork = inWorld(async (world) => {
  await held(world)
  await world.consumeTo(5)
  await bank(world, LOST)
  await world.job('checkQuotas')
  assert.equal(books(world).profile.renewal?.state, 'paused')
  const paymentMethod = (await world.defaultCard()) ?? ''
  world.stripe.bank.updateCard({ paymentMethod, number: GOOD, expYear: 2044 })
  await settle(world, 'replaced')
  assert.equal(credited(world), 2, 'renewed with the replaced card')
})

/** The default card is detached at Stripe, and no event says so: the other card on file pays. */
export const detachedUnseen = inWorld(async (world) => {
  const card = await held(world)
  await world.setRenewal(false)
  assert.equal(await world.changeCard(await world.newCard(OTHER)), 'proved')
  await world.deliver()
  const other = (await world.defaultCard()) ?? ''
  assert.notEqual(other, card)
  await world.stripe.operator.paymentMethods.detach(other)
  world.loseEvents()
  assert.equal(await world.buy(), 'paid')
  assert.equal(await world.defaultCard(), card)
  await settle(world, 'detached')
})
