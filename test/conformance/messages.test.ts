import { describe, expect, test } from 'vitest'
import { type MailValues, renderMail } from '../../core/notifications/mails.ts'
import { checkQuotas } from '../../core/purchases/check-quotas.ts'
import { readPurchase } from '../../core/purchases/purchase.ts'
import { applyReversal } from '../../core/purchases/reversal.ts'
import {
  ALWAYS_3DS,
  DECLINED,
  DISPUTED,
  GOOD,
  MINUTE_MS,
  openPurchaseWorld,
  type PurchaseWorld,
  REFUND_FAILS,
  SECOND_MS,
} from '../machine/purchase-world.ts'

/**
 * The sentences that customers read about money, for each way to a notice or mail. Messages about the state
 * of renewal are in the tests of check-quotas.
 */

const INQUIRY = '4000000000001976'
const WARNED = '4000000000005423'

/** An account that has signed up with this card and has `left` units left; events are delivered after that. */
async function buyer(number = GOOD, left = 1_100): Promise<PurchaseWorld> {
  const world = await openPurchaseWorld()
  await world.setRenewal(false)
  await world.signUp(await world.newCard(number))
  await world.consumeTo(left)
  await world.deliver()
  return world
}

const noticesIn = (world: PurchaseWorld): string[] =>
  world
    .items()
    .filter(({ sk }) => String(sk).startsWith('NOTICE#'))
    .sort((a, b) => (String(a.sk) < String(b.sk) ? -1 : 1))
    .map(({ messageType, message }) => `${messageType}: ${message}`)

const newest = (world: PurchaseWorld): string | undefined => noticesIn(world).at(-1)

const mailsIn = (world: PurchaseWorld): unknown[] =>
  world
    .items()
    .filter(({ sk }) => String(sk).startsWith('MAIL#'))
    .map(({ template }) => template)

const BOUGHT = 'purchased: Payment received: 1,000 units (STARTER) for $0.99.'

describe('a refund', () => {
  test.each<[string, number, number | undefined, string]>([
    ['in full, nothing spent', 1_100, undefined, 'your STARTER payment of $0.99. We took back 1,000 units.'],
    [
      'in full, a part spent',
      400,
      undefined,
      'your STARTER payment of $0.99. We took back 400 units. You had already spent another 600 units. We will take 600 units from your next purchase.',
    ],
    [
      'in full, all spent',
      0,
      undefined,
      'your STARTER payment of $0.99. You had already spent 1,000 units. We will take 1,000 units from your next purchase.',
    ],
    ['in part, nothing spent', 1_100, 33, '$0.33 of your STARTER payment. We took back 333 units.'],
    [
      'in part, all spent',
      0,
      33,
      '$0.33 of your STARTER payment. You had already spent 333 units. We will take 333 units from your next purchase.',
    ],
  ])('%s', async (_, left, cents, text) => {
    const world = await buyer(GOOD, left)
    expect(await world.refund(0, cents)).toBe(true)
    await world.deliver()
    await world.deliver()
    expect(noticesIn(world)).toEqual([BOUGHT, `payment_reversed: We refunded ${text}`])
  })

  test.each<[string, number, string]>([
    ['whose units were taken back', 1_100, 'We gave you back 1,000 units.'],
    ['whose units were spent', 0, 'You owe us no units of your STARTER bundle any more.'],
    [
      'whose units were spent in part',
      400,
      'We gave you back 400 units. You owe us no units of your STARTER bundle any more.',
    ],
  ])('that fails, %s', async (_, left, text) => {
    const world = await buyer(REFUND_FAILS, left)
    await world.refund(0)
    await world.deliver()
    world.advance(6 * SECOND_MS)
    await world.deliver()
    expect(newest(world)).toBe(
      `payment_reversed: The refund of your STARTER payment of $0.99 did not go through. ${text}`,
    )
  })

  test('whose units were spent, then the next purchase', async () => {
    const world = await buyer(GOOD, 400)
    await world.refund(0)
    await world.deliver()
    world.advance(MINUTE_MS)
    expect(await world.buy()).toBe('paid')
    expect(newest(world)).toBe(
      `${BOUGHT} We kept 600 units of them that you had spent before a refund or dispute.`,
    )
  })
})

describe('a dispute', () => {
  test.each<[string, number, string]>([
    ['nothing spent', 1_100, 'We took back 1,000 units.'],
    ['all spent', 0, 'You had already spent 1,000 units. We will take 1,000 units from your next purchase.'],
  ])('that is opened, %s', async (_, left, text) => {
    const world = await buyer(DISPUTED, left)
    expect(noticesIn(world)).toEqual([
      BOUGHT,
      `payment_reversed: Your bank took back your STARTER payment of $0.99 because of a dispute. ${text}`,
      'card_blocked: A payment with your card ending in 0259 was disputed as fraud, so we no longer charge this card. Please add another card.',
    ])
  })

  test.each<[string, number, string]>([
    ['nothing spent', 1_100, 'We gave you back 1,000 units.'],
    ['all spent', 0, 'You owe us no units of your STARTER bundle any more.'],
  ])('that is won, %s', async (_, left, text) => {
    const world = await buyer(DISPUTED, left)
    await world.decideDispute('winning_evidence')
    await world.deliver()
    expect(newest(world)).toBe(
      `payment_reversed: The dispute of your STARTER payment of $0.99 was decided in our favour. ${text}`,
    )
  })

  test('that is lost, and an inquiry, say nothing: no money moves', async () => {
    const lost = await buyer(DISPUTED)
    const before = noticesIn(lost)
    await lost.decideDispute('losing_evidence')
    await lost.deliver()
    expect(noticesIn(lost)).toEqual(before)
    expect(noticesIn(await buyer(INQUIRY))).toEqual([BOUGHT])
  })
})

describe('a refund and a dispute of one payment', () => {
  type Status = 'needs_response' | 'won' | 'lost' | 'prevented'

  /** Sets what Stripe shows of a disputed charge, and lets the ledger follow. @returns the newest notice. */
  async function followed(world: PurchaseWorld, refunded: number, status: Status, currency = 'usd') {
    const [charge] = world.charges()
    const [dispute] = Object.values(world.stripe.state.disputes)
    if (!charge || !dispute) throw new Error('the charge is not disputed')
    charge.amount_refunded = refunded
    Object.assign(dispute, { status, currency })
    const { purchase: id = '' } = world.stripe.state.paymentIntents[String(charge.payment_intent)]!.metadata
    const purchase = await readPurchase(world.ports, world.accountId, id)
    await applyReversal(world.ports, purchase!, charge.id)
    return newest(world)?.replace('payment_reversed: ', '')
  }

  /** A buyer whose charge is disputed, before the dispute's events. */
  async function disputed(): Promise<PurchaseWorld> {
    const world = await openPurchaseWorld()
    await world.signUp(await world.newCard(DISPUTED))
    return world
  }

  test('seen at once', async () => {
    expect(await followed(await disputed(), 50, 'needs_response')).toBe(
      'We refunded $0.50 of your STARTER payment. Your bank took back $0.49 of your STARTER payment because of a dispute. We took back 1,000 units.',
    )
  })

  test('the refund fails and the dispute takes its place: equal sums, and no units move', async () => {
    const world = await disputed()
    await followed(world, 50, 'needs_response')
    expect(await followed(world, 0, 'lost')).toBe(
      'The refund of $0.50 of your STARTER payment did not go through. Your bank took back $0.50 of your STARTER payment because of a dispute. Your units stay as they are.',
    )
  })

  test('the money that stays away keeps renewal paused when only its kind changes', async () => {
    const world = await disputed()
    await world.consumeTo(1_000)
    await followed(world, 50, 'needs_response')
    expect((await world.account()).renewal?.reason).toBe('payment_reversed')
    await followed(world, 0, 'lost')
    expect((await world.account()).renewal?.reason).toBe('payment_reversed')
    await followed(world, 0, 'won')
    expect((await world.account()).renewal).toBeUndefined()
  })

  test('the dispute is won and the payment refunded', async () => {
    const world = await disputed()
    await followed(world, 0, 'needs_response')
    expect(await followed(world, 99, 'won')).toBe(
      'The dispute of your STARTER payment of $0.99 was decided in our favour. We refunded your STARTER payment of $0.99. Your units stay as they are.',
    )
  })

  test('the refund grows while the dispute is open: nothing is said to be decided', async () => {
    const world = await disputed()
    await followed(world, 0, 'needs_response')
    expect(await followed(world, 50, 'needs_response')).toBe(
      'We refunded $0.50 of your STARTER payment. Your units stay as they are.',
    )
  })

  test('the dispute ends without a decision', async () => {
    const world = await disputed()
    await followed(world, 0, 'needs_response')
    expect(await followed(world, 0, 'prevented')).toBe(
      'The dispute of your STARTER payment of $0.99 has ended. We gave you back 1,000 units.',
    )
  })

  test('a dispute in another currency takes back the whole payment', async () => {
    expect(await followed(await disputed(), 0, 'needs_response', 'eur')).toMatch(
      /^Your bank took back your STARTER payment of \$0.99/,
    )
  })
})

describe('a purchase', () => {
  test('that is declined, or abandoned, after its request was answered', async () => {
    for (const [outcome, text] of [
      ['fail', 'was declined'],
      [undefined, 'We cancelled your payment'],
    ] as const) {
      const world = await openPurchaseWorld()
      await world.signUp(await world.newCard(ALWAYS_3DS))
      world.advance(25 * 60 * MINUTE_MS)
      if (outcome) world.authenticate(outcome)
      if (outcome) await world.deliver()
      await world.job('settlePayments')
      expect(newest(world)).toMatch(/^purchase_failed: .*STARTER bundle.* Nothing was charged\.$/)
      expect(newest(world)).toContain(text)
      expect(world.charges()).toEqual([])
    }
  })

  test('that is declined at once leaves no notice: its answer said so', async () => {
    const world = await openPurchaseWorld()
    expect(await world.signUp(await world.newCard(DECLINED))).toBe('card_declined')
    expect(noticesIn(world)).toEqual([])
  })

  test('by auto-renewal', async () => {
    const world = await buyer()
    await world.setRenewal(true)
    await world.consumeTo(5)
    world.advance(MINUTE_MS)
    await world.job('checkQuotas')
    expect(newest(world)).toBe('renewed: We renewed your STARTER bundle: 1,000 units for $0.99.')
    expect(mailsIn(world)).toContain('renewed')
  })
})

describe('the low-quota notice', () => {
  test('while little is left', async () => {
    const world = await buyer(GOOD, 50)
    await world.job('checkQuotas')
    expect(noticesIn(world)).toContain('low_quota: Less than 10 % of your STARTER bundle is left.')
    expect(mailsIn(world)).toEqual(['low-quota'])
  })

  test('of units that were bought again before the job looked does not say that little is left', async () => {
    const world = await buyer(GOOD, 50)
    world.advance(MINUTE_MS)
    expect(await world.buy()).toBe('paid')
    expect((await checkQuotas(world.ports, { untilMs: world.nowMs() + MINUTE_MS, width: 1 })).notices).toBe(1)
    expect(noticesIn(world)).toContain(
      'low_quota: Your units had fallen below 10 % of your bundle. More have been added since.',
    )
    expect(mailsIn(world)).toEqual(['low-quota'])
    const [mail] = world.items().filter(({ template }) => template === 'low-quota')
    const { subject, text } = renderMail('', 'low-quota', mail?.values as MailValues)
    expect(`${subject}\n${text}`).not.toMatch(/is left|refill/)
  })
})

test('a bank’s warning names the card', async () => {
  expect(newest(await buyer(WARNED))).toBe(
    'card_warning: Your bank reports that a payment with the card ending in 5423 may not have been yours. If you do not recognise it, please contact us.',
  )
})
