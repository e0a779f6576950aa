/**
 * What each step of a customer's life with cards and purchases leaves in the table, what it answers, and which calls it
 * makes, in their order. A change of the snapshot is a change of stored data, of costs or of the order in which the
 * provider and the table learn of something: look whether it is meant.
 */
import { describe, expect, test } from 'vitest'
import {
  ALWAYS_3DS,
  DAY_MS,
  DECLINED,
  DISPUTED,
  GOOD,
  HOUR_MS,
  MINUTE_MS,
  OTHER,
  openPurchaseWorld,
  type PurchaseWorld,
} from '../machine/purchase-world.ts'
import { playedSteps, type Step as StepIn } from '../support/played-steps.ts'

Error.stackTraceLimit = 1

type Step = StepIn<PurchaseWorld>

const deliver: Step = (world, via) => world.deliver(via)
const jobs: Step = (world, via) => world.jobs(via)
const pass =
  (ms: number): Step =>
  async (world) =>
    world.advance(ms)
const signUp =
  (number: string, ...more: [bundle?: string, coupon?: string]): Step =>
  async (world, via) =>
    world.signUp(await world.newCard(number), via, undefined, ...more)
const changeCard =
  (number: string): Step =>
  async (world, via) =>
    world.changeCard(await world.newCard(number), via)
/** What the bank says from now on of the default card, as of the card with this number. */
const bank =
  (number: string): Step =>
  async (world) => {
    const card = world.stripe.state.cards[(await world.defaultCard()) ?? '']
    if (card) card.number = number
  }
const buy: Step = (world, via) => world.buy(via)
const runLow: Step = (world, via) => world.consumeTo(3, via)
/** The steps with which most accounts begin. */
const begun: Record<string, Step> = { 'signs up': signUp(GOOD), 'the events arrive': deliver }
const settled: Record<string, Step> = { 'the last events arrive': deliver, 'the jobs run': jobs }

const flows: Record<string, Record<string, Step>> = {
  'a customer who signs up, buys, and takes another bundle': {
    ...begun,
    buys: buy,
    'the events of the purchase arrive': deliver,
    'takes another bundle': (world, via) => world.change('DEVELOPER', via),
    'the events of the change arrive': deliver,
    'the jobs run': jobs,
  },
  'a customer who authenticates': {
    'signs up': signUp(ALWAYS_3DS),
    'the first events arrive': deliver,
    authenticates: async (world) => world.authenticate(),
    'the next events arrive': deliver,
    'a day passes': pass(DAY_MS),
    'runs low, and the renewal needs the customer': runLow,
    'the job renews': (world, via) => world.job('checkQuotas', via),
    'the customer authenticates': async (world) => world.authenticate(),
    'the events arrive': deliver,
    'the jobs run': jobs,
  },
  'a customer who does not authenticate': {
    'signs up': signUp(ALWAYS_3DS),
    'fails to authenticate': async (world) => world.authenticate('fail'),
    'the events arrive': deliver,
    'signs up again': signUp(ALWAYS_3DS),
    'a day passes': pass(DAY_MS + MINUTE_MS),
    'the jobs run': jobs,
    'the last events arrive': deliver,
  },
  'a customer whose card is declined': {
    'signs up': signUp(DECLINED),
    'signs up with another card': signUp(GOOD),
    ...settled,
  },
  'a bundle that renews itself': {
    ...begun,
    'a day passes': pass(DAY_MS),
    'runs low': runLow,
    'the job renews': (world, via) => world.job('checkQuotas', via),
    ...settled,
    'an hour passes, and the jobs run': async (world, via) => {
      world.advance(HOUR_MS)
      return world.jobs(via)
    },
  },
  'a renewal that is declined until its customer has another card': {
    ...begun,
    'a day passes': pass(DAY_MS),
    'the bank declines the card from now on': bank(DECLINED),
    'runs low': runLow,
    'the job tries to renew': (world, via) => world.job('checkQuotas', via),
    'the events of the decline arrive': deliver,
    'an hour later the job tries again': async (world, via) => {
      world.advance(HOUR_MS + MINUTE_MS)
      return world.job('checkQuotas', via)
    },
    'a day passes again': pass(DAY_MS),
    'the card is changed': changeCard(OTHER),
    'the job renews': (world, via) => world.job('checkQuotas', via),
    ...settled,
  },
  'a card that the bank declines for good': {
    ...begun,
    'the bank has closed the card': bank('4000000000009987'),
    'buys with it': buy,
    'buys with it again': buy,
    'runs low': runLow,
    'the job does not renew': (world, via) => world.job('checkQuotas', via),
    ...settled,
  },
  'a renewal that needs its customer, who changes the card instead': {
    ...begun,
    'the bank wants to see the customer': bank(ALWAYS_3DS),
    'runs low': runLow,
    'the job tries to renew': (world, via) => world.job('checkQuotas', via),
    'a day passes': pass(DAY_MS),
    'the card is changed': changeCard(OTHER),
    'the job renews': (world, via) => world.job('checkQuotas', via),
    ...settled,
  },
  'a monthly cap': {
    ...begun,
    'caps renewals': (world, via) => world.setCap(100, via),
    'runs low': runLow,
    'the job renews once': (world, via) => world.job('checkQuotas', via),
    'runs low again': runLow,
    'the job stops at the cap': (world, via) => world.job('checkQuotas', via),
    'lifts the cap': (world, via) => world.setCap(undefined, via),
    'the job renews': (world, via) => world.job('checkQuotas', via),
    ...settled,
  },
  'renewals that are switched off and on': {
    ...begun,
    'switches renewals off': (world, via) => world.setRenewal(false, via),
    'runs low': runLow,
    'the job does not renew': (world, via) => world.job('checkQuotas', via),
    'switches renewals on': (world, via) => world.setRenewal(true, via),
    'the job renews': (world, via) => world.job('checkQuotas', via),
    'stops by the link of a mail': (world, via) => world.stopByLink(via),
    ...settled,
  },
  'a payment that is refunded in part, then whole, after units were used': {
    ...begun,
    'uses units': (world, via) => world.consume(600, via),
    'a part is refunded': (world) => world.refund(0, 40),
    'the events of the part arrive': deliver,
    'the rest is refunded': (world) => world.refund(0),
    'the events of the rest arrive': deliver,
    'buys, which pays what is owed': buy,
    ...settled,
  },
  'a refund that an operator orders': {
    ...begun,
    'refunds a part': (world, via) => world.orderRefund(0, { what: 'amount', amountCents: 30 }, via),
    'refunds what the units left are worth': (world, via) =>
      world.orderRefund(0, { what: 'units_left' }, via),
    'finds nothing left to refund': (world, via) => world.orderRefund(0, { what: 'all' }, via),
    ...settled,
  },
  'a payment that is disputed and won': {
    'signs up': signUp(DISPUTED),
    'the events arrive': deliver,
    'the dispute is won': (world) => world.decideDispute('winning_evidence'),
    'the events of the win arrive': deliver,
    'the jobs run': jobs,
  },
  'a payment that is disputed and lost': {
    'signs up': signUp(DISPUTED),
    'the events arrive': deliver,
    'the dispute is lost': (world) => world.decideDispute('losing_evidence'),
    'the events of the loss arrive': deliver,
    'tries to buy again': buy,
    'the jobs run': jobs,
  },
  'cards that are changed and removed': {
    ...begun,
    'cannot remove the default card': async (world, via) =>
      world.remove((await world.defaultCard()) ?? '', via),
    'a day passes': pass(DAY_MS),
    'cannot change the card while renewals are on': changeCard(OTHER),
    'switches renewals off': (world, via) => world.setRenewal(false, via),
    'changes the card': changeCard(OTHER),
    'the events of the change arrive': deliver,
    'changes the card too soon': changeCard(GOOD),
    'a declined card is no new default card': async (world, via) => {
      world.advance(DAY_MS)
      return world.changeCard(await world.newCard(DECLINED), via)
    },
    'removes the first card': async (world, via) => {
      const isDefault = await world.defaultCard()
      const other = world
        .items()
        .find(({ sk, cardId }) => String(sk).startsWith('CARD#') && cardId !== isDefault)
      return world.remove(String(other?.cardId), via)
    },
    'a day passes again': pass(DAY_MS),
    'types the same number again': changeCard(OTHER),
    'the events of the number arrive': deliver,
    'removes the last card': async (world, via) => world.remove((await world.defaultCard()) ?? '', via),
    'buys without a card': buy,
    ...settled,
  },
  'events and jobs that come instead of a lost answer': {
    'signs up': signUp(GOOD),
    'the events are lost': async (world) => world.loseEvents(),
    'ten minutes pass, and the jobs run': async (world, via) => {
      world.advance(10 * MINUTE_MS + 1000)
      return world.jobs(via)
    },
    'a payment is refunded, and its events are lost': async (world) => {
      await world.refund(0)
      world.loseEvents()
    },
    'an hour passes, and the jobs run': async (world, via) => {
      world.advance(HOUR_MS)
      return world.jobs(via)
    },
  },
  'cards that need the customer, and are given up': {
    ...begun,
    'switches renewals off': (world, via) => world.setRenewal(false, via),
    'a day passes': pass(DAY_MS),
    'begins to change the card': changeCard(ALWAYS_3DS),
    'begins with another one': changeCard(ALWAYS_3DS),
    'a day passes without an answer': pass(DAY_MS + MINUTE_MS),
    'the jobs run': jobs,
    'the events of the end arrive': deliver,
    'begins once more': changeCard(ALWAYS_3DS),
    authenticates: async (world) => world.authenticate(),
    'the events of the proof arrive': deliver,
  },
  'a card that is typed into a form': {
    'signs up with a token': async (world, via) => world.signUp(await world.newToken(GOOD), via),
    'the same token is not taken again': async (world, via) =>
      world.signUp(await world.newToken(DECLINED), via),
    ...settled,
  },
  'a coupon': {
    'signs up with a coupon': signUp(GOOD, 'STARTER', 'HALF'),
    'tries it again': (world, via) => world.buy(via, undefined, 'HALF'),
    'tries one that does not exist': (world, via) => world.buy(via, undefined, 'NOPE'),
    ...settled,
  },
  'a card that has had a trial with another account': {
    'another account has had it': (world, via) => world.backElsewhere(GOOD, via),
    'uses some of the trial': (world, via) => world.consume(30, via),
    'signs up': signUp(GOOD),
    ...settled,
  },
  'a card that has had a trial, which is used up': {
    'another account has had it': (world, via) => world.backElsewhere(GOOD, via),
    'uses all of the trial': (world, via) => world.consume(100, via),
    'signs up': signUp(GOOD),
    ...settled,
  },
  'units that are owed while others are reserved': {
    ...begun,
    'takes a lease': (world, via) => world.lease(900, 'return', via),
    'is refunded': (world) => world.refund(0),
    'the events of the refund arrive': deliver,
    'the lease expires': async (world, via) => {
      world.advance(HOUR_MS)
      return world.job('expireReservations', via)
    },
    ...settled,
  },
  'units that an operator takes while others are reserved': {
    ...begun,
    'takes a lease': (world, via) => world.lease(900, 'return', via),
    'an operator takes more than is left': (world, via) => world.take(700, true, via),
    'ends the lease': (world, via) => world.report(0, 100, 0, via),
    'the lease is over, and the job takes the rest': async (world, via) => {
      world.advance(HOUR_MS)
      return world.job('expireReservations', via)
    },
    ...settled,
  },
  'units and money that an operator gives and takes': {
    ...begun,
    'grants units': (world, via) => world.grant(50, via, 'key-1'),
    'grants them once': (world, via) => world.grant(50, via, 'key-1'),
    'takes more than there are': (world, via) => world.take(5000, false, via),
    'takes them and lets the rest be owed': (world, via) => world.take(5000, true, via),
    'credits money': (world, via) => world.credit(500, via),
    'debits money': (world, via) => world.debit(100, via),
    'buys, which pays what is owed': buy,
    ...settled,
  },
  'alerts and a threshold of the owner': {
    ...begun,
    'chooses alerts': (world, via) => world.setAlerts([500, 0.2], via),
    'renews below 300 units': (world, via) => world.choose({ below: 300 }, via),
    'chooses the bundle that renewals buy': (world, via) => world.choose({ renewalBundle: 'DEVELOPER' }, via),
    'uses most': (world, via) => world.consume(750, via),
    'the jobs run at once': jobs,
    'goes back': (world, via) => world.choose({ renewalBundle: undefined, below: undefined }, via),
    ...settled,
  },
  'an account that is suspended and resumed': {
    ...begun,
    'is suspended': (world, via) => world.suspend(via),
    'buys while it is': buy,
    'is resumed': (world, via) => world.resume(via),
    ...settled,
  },
  'an account that is deactivated and restored': {
    ...begun,
    'is deactivated': (world, via) => world.deactivate(via),
    'the jobs run while it is': jobs,
    'is restored': (world) => world.restore(),
    ...settled,
  },
}

describe('stored by each step, with its answer and its calls', () => {
  test.each(Object.entries(flows))('%s', async (title, steps) => {
    const world = await openPurchaseWorld()
    const text = await playedSteps(world, world.items, steps)
    expect(world.mistakes).toEqual([])
    expect(world.alarms).toEqual([])
    await expect(text).toMatchFileSnapshot(`__snapshots__/flows/${title.replaceAll(/[^a-z]+/g, '-')}.txt`)
  })
})
