/**
 * What the rarer steps of purchases, renewals, refunds and reconciliations leave in the table, what they answer, and which
 * calls they make, in their order. A change of the snapshot is a change of stored data, of costs or of the order in which
 * the provider and the table learn of something: look whether it is meant.
 */
import { describe, expect, test } from 'vitest'
import { blockCard } from '../../core/cards/blocks.ts'
import { DomainError, rateLimited } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { checkQuotas } from '../../core/purchases/check-quotas.ts'
import { orderRefund } from '../../core/purchases/order-refund.ts'
import { readPurchase } from '../../core/purchases/purchase.ts'
import { reconcileAccount } from '../../core/purchases/reconcile-account.ts'
import { reconcileNow } from '../../core/purchases/reconcile-now.ts'
import { settlePayments } from '../../core/purchases/settle-payments.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import {
  ALWAYS_3DS,
  DAY_MS,
  DECLINED,
  GOOD,
  HOUR_MS,
  MINUTE_MS,
  OTHER,
  openPurchaseWorld,
  type PurchaseWorld,
  REFUND_FAILS,
} from '../machine/purchase-world.ts'
import { playedSteps, type Step as StepIn } from '../support/played-steps.ts'

Error.stackTraceLimit = 1

type Step = StepIn<PurchaseWorld>

const deliver: Step = (world, via) => world.deliver(via)
const jobs: Step = (world, via) => world.jobs(via)
const run = (world: PurchaseWorld) => ({ untilMs: world.nowMs() + MINUTE_MS, width: 10 })
const check: Step = async (world, via) => JSON.stringify(await checkQuotas(via, run(world)))
const settle: Step = async (world, via) => JSON.stringify(await settlePayments(via, run(world)))
const pass =
  (ms: number): Step =>
  async (world) =>
    world.advance(ms)
const signUp =
  (number: string, key?: string, bundle?: string): Step =>
  async (world, via) =>
    world.signUp(await world.newCard(number), via, key, bundle)
const buy =
  (key?: string): Step =>
  (world, via) =>
    world.buy(via, key)
const change =
  (bundle: string, key?: string): Step =>
  (world, via) =>
    world.change(bundle, via, key)
const choose =
  (settings: Parameters<PurchaseWorld['choose']>[0]): Step =>
  (world, via) =>
    world.choose(settings, via)
const runLow: Step = (world, via) => world.consumeTo(3, via)
const bank =
  (number: string): Step =>
  async (world) => {
    const card = world.stripe.state.cards[(await world.defaultCard()) ?? '']
    if (card) card.number = number
  }
/** A step while these calls of the provider end in an outage, `after` they have taken effect or before. */
const whileDown =
  (
    method: 'createPayment' | 'confirmPayment' | 'cancelPayment' | 'createRefund',
    step: Step,
    after = false,
  ): Step =>
  (world, via) => {
    const payments = new Proxy(via.payments, {
      get: (object, name, receiver) => {
        const call = Reflect.get(object, name, receiver)
        if (name !== method) return call
        return async (...request: unknown[]) => {
          if (after) await (call as (...all: unknown[]) => Promise<unknown>)(...request)
          throw new DomainError('temporarily_unavailable')
        }
      },
    })
    return step(world, { ...via, payments })
  }
/** A step while the provider refuses to create payments because of too many calls. */
const whileLimited =
  (step: Step): Step =>
  (world, via) => {
    const payments = new Proxy(via.payments, {
      get: (object, name, receiver) =>
        name === 'createPayment'
          ? async () => {
              throw rateLimited({ scope: 'all', retryAfterSeconds: 1 }, new Error('429'))
            }
          : Reflect.get(object, name, receiver),
    })
    return step(world, { ...via, payments })
  }
const begun: Record<string, Step> = { 'signs up': signUp(GOOD), 'the events arrive': deliver }

const reconcile: Step = async (world, via) => {
  const operator = { ...via, origin: { by: 'operator', name: 'bob' } } as Ports
  const report = await reconcileAccount(operator, world.accountId, { reason: 'a ticket' })
  return JSON.stringify(report)
}
const reconcileAll: Step = async (_, via) => {
  const operator = { ...via, origin: { by: 'operator', name: 'bob' } } as Ports
  return JSON.stringify(await reconcileNow(operator, 'a ticket'))
}
const newestPayment = (world: PurchaseWorld) => Object.values(world.stripe.state.paymentIntents).at(-1)
const edited =
  (name: string, value: unknown): Step =>
  async (world) => {
    const payment = newestPayment(world)
    if (payment) Object.assign(payment, { [name]: value })
  }
/** A charge that the operator of Stripe makes by hand. */
const byHand =
  (metadata: Record<string, string>): Step =>
  async (world) => {
    const { customer } = await world.account()
    const { status } = await world.stripe.operator.paymentIntents.create({
      amount: 99,
      currency: 'usd',
      customer: customer?.id ?? '',
      payment_method: (await world.defaultCard()) ?? '',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      metadata,
      confirm: true,
    })
    return status
  }
/** The account's bundle has so many units for a cent less. */
const sells =
  (units: number): Step =>
  async (world) => {
    const plan = { version: 0, units, priceCents: 98, currency: 'USD', lowPercent: 20, renewalPercent: 5 }
    await world.ports.table.update(keys.profile(world.accountId), expr`SET #plan = ${plan}`)
  }

/** A step of a deployment whose table was restored an hour ago. */
const restored =
  (step: Step): Step =>
  (world, via) =>
    step(world, { ...via, sessionsSinceMs: world.nowMs() - HOUR_MS } as Ports)
/** What a restore of an older backup has lost of the newest purchase. */
const lost: Step = async (world) => {
  const items = world.items().filter(({ sk }) => /^(PURCHASE|INVOICE)#/.test(String(sk)))
  const newest = items
    .map(({ sk }) => String(sk).split('#')[1])
    .sort()
    .at(-1)
  for (const { pk, sk } of items)
    if (String(sk).endsWith(`#${newest}`)) await world.ports.table.remove({ pk, sk } as never)
  const payment = newestPayment(world)
  for (const { pk, sk } of world.items())
    if (pk === `PAYMENT#${payment?.id}`) await world.ports.table.remove({ pk, sk } as never)
}

const flows: Record<string, Record<string, Step>> = {
  'purchases with an Idempotency-Key': {
    'signs up with a key': signUp(GOOD, 'key-1'),
    'uses the key for another order': signUp(OTHER, 'key-1'),
    'the events arrive': deliver,
    'buys with a key': buy('key-2'),
    'buys with it again': buy('key-2'),
    'uses it for another bundle': change('DEVELOPER', 'key-2'),
    'a minute passes': pass(MINUTE_MS),
    'the answer to the confirmation is lost': whileDown('confirmPayment', buy('key-3'), true),
    'buys with that key again': buy('key-3'),
    'buys with another key meanwhile': buy('key-4'),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job settles it': settle,
    'buys with that key once more': buy('key-3'),
    'the last events arrive': deliver,
  },
  'orders that cannot begin': {
    'buys before the first bundle': buy(),
    'changes before the first bundle': change('DEVELOPER'),
    'signs up for a bundle that is not sold': signUp(GOOD, undefined, 'NOTHING'),
    'signs up with no card': async (world, via) => world.signUp('pm_nothing', via),
    'signs up with a declined card': signUp(DECLINED),
    'charges were declined before': async (world) => {
      const times = [1, 2, 3, 4].map((ms) => world.nowMs() - ms)
      await world.ports.table.update(keys.profile(world.accountId), expr`SET #chargeDeclinesMs = ${times}`)
    },
    'signs up': signUp(GOOD),
    'buys too soon': buy(),
    'signs up again': signUp(OTHER),
    'changes to a bundle that is not sold': change('NOTHING'),
    'changes to the one that it has': change('STARTER'),
    'the events arrive': deliver,
  },
  'a purchase that its request leaves open': {
    ...begun,
    'the payment is not created': whileDown('createPayment', buy('key-1')),
    'another one cannot begin yet': buy('key-2'),
    'a minute passes': pass(MINUTE_MS + 1000),
    'another one ends it': buy('key-2'),
    'the payment is created, but the answer is lost': whileDown('createPayment', buy('key-3'), true),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job ends it': settle,
    'the same order begins again': buy('key-3'),
    'the last events arrive': deliver,
  },
  'purchases while Stripe takes no more calls': {
    'signs up': whileLimited(signUp(GOOD)),
    'an operator blocks its number': async (world, via) => {
      const { openPurchase = '' } = await world.account()
      const asked = (await readPurchase(world.ports, world.accountId, openPurchase))?.asked ?? ''
      const fingerprint = (await world.ports.payments.cardFingerprintOf(asked)) ?? ''
      await blockCard({ ...via, origin: { by: 'operator', name: 'bob' } } as Ports, fingerprint, 'a ticket')
    },
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job goes on with it': settle,
    'signs up with another number': signUp(OTHER),
    'the events arrive': deliver,
    buys: whileLimited(buy('key-1')),
    'buys again with the key': buy('key-1'),
    'orders another bundle meanwhile': whileLimited(change('DEVELOPER')),
    'two more minutes pass': pass(2 * MINUTE_MS),
    'the job goes on with the other': settle,
    'runs low': runLow,
    'the job cannot renew': whileLimited(check),
    'a quarter of an hour passes': pass(15 * MINUTE_MS),
    'the job renews': settle,
    'the last events arrive': deliver,
  },
  'a purchase that is credited by its event': {
    ...begun,
    'the answer to the confirmation is lost': whileDown('confirmPayment', buy(), true),
    'the event arrives': deliver,
    'a day passes': pass(DAY_MS),
    'the jobs run': jobs,
  },
  'a purchase whose payment is edited': {
    ...begun,
    'the confirmation does not arrive': whileDown('confirmPayment', buy()),
    'its amount is edited': edited('amount', 50),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job settles it': settle,
    'the answer to another confirmation is lost': whileDown('confirmPayment', buy(), true),
    'its currency is edited': edited('currency', 'eur'),
    'two more minutes pass': pass(2 * MINUTE_MS),
    'the job settles that': settle,
    'the last events arrive': deliver,
    'ten minutes pass': pass(10 * MINUTE_MS),
    'an operator compares': reconcileAll,
    'an operator compares again': reconcileAll,
    'an operator compares the account': reconcile,
  },
  'payments that are deleted at Stripe': {
    ...begun,
    'the confirmation does not arrive': whileDown('confirmPayment', buy()),
    'the payment is deleted': async (world) => {
      const payment = newestPayment(world)
      if (payment) delete world.stripe.state.paymentIntents[payment.id]
    },
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job settles it': settle,
    'buys again': buy(),
    'all payments are deleted': async (world) => {
      for (const id of Object.keys(world.stripe.state.paymentIntents))
        delete world.stripe.state.paymentIntents[id]
    },
    'an operator refunds': (world, via) => world.orderRefund(0, { what: 'all' }, via),
    'an hour passes': pass(HOUR_MS),
    'an operator compares the account': reconcile,
    'an operator compares': reconcileAll,
  },
  'a customer who is deleted at Stripe': {
    ...begun,
    'the customer is deleted': async (world) =>
      world.stripe.operator.customers.del((await world.account()).customer?.id ?? '').then(() => 'deleted'),
    'buys before the event arrives': buy(),
    'the event arrives': deliver,
    'buys without a card': buy(),
    'runs low': runLow,
    'the job does not renew': check,
  },
  'a sign-up whose customer is deleted': {
    'signs up with a declined card': signUp(DECLINED),
    'the customer is deleted': async (world) =>
      world.stripe.operator.customers.del((await world.account()).customer?.id ?? '').then(() => 'deleted'),
    'signs up before the event arrives': signUp(GOOD),
    'signs up again': signUp(GOOD),
    'the events arrive': deliver,
  },
  'a default card that is gone at Stripe': {
    ...begun,
    'switches renewals off': (world, via) => world.setRenewal(false, via),
    'a day passes': pass(DAY_MS),
    'changes the card': async (world, via) => world.changeCard(await world.newCard(OTHER), via),
    'the events of the change arrive': deliver,
    'the card is detached': async (world) =>
      world.stripe.operator.paymentMethods.detach((await world.defaultCard()) ?? '').then(() => 'detached'),
    'buys with the next card': buy(),
    'the events of the purchase arrive': deliver,
  },
  'renewals whose payments are created unseen': {
    ...begun,
    'runs low': runLow,
    'the answer to the creation is lost': whileDown('createPayment', check, true),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job finds the payment': settle,
    'runs low again': runLow,
    'the payment is not created': whileDown('createPayment', check),
    'two more minutes pass': pass(2 * MINUTE_MS),
    'the payment is not created again': whileDown('createPayment', settle),
    'ten minutes pass': pass(10 * MINUTE_MS),
    'the job creates it': settle,
  },
  'disputes of which no event tells': {
    'signs up': signUp('4000000000000259'),
    'all events are lost': async (world) => world.loseEvents(),
    'an operator compares the account': reconcile,
    'the dispute is won': (world) => world.decideDispute('winning_evidence'),
    'the events of the win are lost': async (world) => world.loseEvents(),
    'an hour passes': pass(HOUR_MS),
    'an operator compares': reconcileAll,
    'an operator compares the account again': reconcile,
    'the job finds nothing more': (world, via) => world.job('compareReversals', via),
  },
  'a refund that the job settles': {
    ...begun,
    'the answer is lost': whileDown(
      'createRefund',
      (world, via) => world.orderRefund(0, { what: 'all' }, via),
      true,
    ),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job finds it': (world, via) => world.job('settleRefunds', via),
    'the job has nothing more to do': (world, via) => world.job('settleRefunds', via),
    'the events arrive in the end': deliver,
  },
  'a plan whose units expire and come by month': {
    ...begun,
    'has such a plan': async (world) => {
      const plan = {
        version: 0,
        units: 1000,
        priceCents: 99,
        currency: 'USD',
        expiresAfterDays: 30,
        lowPercent: 20,
        renewalPercent: 5,
        monthlyUnits: 70,
      }
      await world.ports.table.update(keys.profile(world.accountId), expr`SET #plan = ${plan}`)
    },
    buys: buy(),
    'the events of the purchase arrive': deliver,
    'is refunded': (world) => world.refund(-1, 50),
    'the events of the refund arrive': deliver,
    'runs low': runLow,
    'the job renews': check,
    'a month passes': pass(31 * DAY_MS),
    'is refunded after the units have expired': (world) => world.refund(-1, 50),
    'the events of that refund arrive': deliver,
    'the jobs run': jobs,
  },
  'a payment that is edited while it is confirmed': {
    ...begun,
    'buys, and the amount is edited': async (world, via) => {
      const payments = new Proxy(via.payments, {
        get: (object, name, receiver) => {
          const call = Reflect.get(object, name, receiver)
          if (name !== 'confirmPayment') return call
          return async (...request: unknown[]) => {
            await edited('amount', 50)(world, via)
            return (call as (...all: unknown[]) => Promise<unknown>)(...request)
          }
        },
      })
      return buy()(world, { ...via, payments })
    },
    'the events of the purchase arrive': deliver,
    'ten minutes pass': pass(11 * MINUTE_MS),
    'an operator compares': reconcileAll,
  },
  'refunds that fail': {
    'signs up': signUp(REFUND_FAILS),
    'the events arrive': deliver,
    'an operator refunds': (world, via) => world.orderRefund(0, { what: 'all' }, via, 'key-1'),
    'the events of the refund arrive': deliver,
    'a while passes': async (world) => {
      world.advance(MINUTE_MS)
      world.stripe.tick()
    },
    'the events of the failure arrive': deliver,
    'an operator refunds once more': (world, via) => world.orderRefund(0, { what: 'all' }, via, 'key-2'),
    'the jobs run': jobs,
  },
  'refunds that an operator orders twice': {
    ...begun,
    'the answer is lost': whileDown(
      'createRefund',
      (world, via) => world.orderRefund(0, { what: 'all' }, via, 'key-1'),
      true,
    ),
    'orders it again with the key': (world, via) => world.orderRefund(0, { what: 'all' }, via, 'key-1'),
    'orders another one meanwhile': (world, via) =>
      world.orderRefund(0, { what: 'amount', amountCents: 5 }, via, 'key-2'),
    'two minutes pass': pass(2 * MINUTE_MS),
    'orders it again after a while': (world, via) => world.orderRefund(0, { what: 'all' }, via, 'key-1'),
    'the job settles it': (world, via) => world.job('settleRefunds', via),
    'orders it once more': (world, via) => world.orderRefund(0, { what: 'all' }, via, 'key-1'),
    'orders one of a purchase that is not there': async (world, via) => {
      const [id = ''] = [...world.creditedAtMs.keys()]
      const of = (purchaseId: string) =>
        orderRefund(
          { ...via, origin: { by: 'operator', name: 'bob' } } as Ports,
          { accountId: world.accountId, purchaseId },
          { what: 'all' },
          { reason: 'a ticket', idempotencyKey: undefined },
        ).catch((error: DomainError) => error.code)
      return (await Promise.all([of(`${id}0`), of(`0${id}`), of('0'.repeat(24)), of('x')])).join(' ')
    },
    'asks for an amount without one': (world, via) => world.orderRefund(0, { what: 'amount' }, via),
    'the events arrive last': deliver,
  },
  'renewals that are held back': {
    ...begun,
    'allows one an hour and two a day': choose({ maxRenewalsPerHour: 1, maxRenewalsPerDay: 2 }),
    'runs low': runLow,
    'the job renews': check,
    'runs low again': runLow,
    'the job holds back': check,
    'the job still holds back': check,
    'allows two an hour': choose({ maxRenewalsPerHour: 2 }),
    'the job renews again': check,
    'runs low once more': runLow,
    'the job holds back for the day': check,
    'its link lets renewals go on': async (world, via) =>
      world.allowByLink((await world.account()).renewal?.heldAtMs ?? 0, via),
    'its link again': async (world, via) => world.allowByLink(world.nowMs() - 1000, via),
    'the job renews by the link': check,
    'a link that nobody has made': (world, via) => world.openLink('x'.repeat(54), via),
    'a link to a hold that is over, while renewal is paused': async (world, via) => {
      const key = keys.profile(world.accountId)
      const paused = { state: 'paused', reason: 'declined', failures: 1 }
      await world.ports.table.update(key, expr`SET #renewal = ${paused}`)
      const answer = await world.allowByLink(5, via)
      await world.ports.table.update(key, expr`REMOVE #renewal`)
      return answer
    },
    'stops by a link': (world, via) => world.stopByLink(via),
    'a link to a hold, while renewals are off': (world, via) => world.allowByLink(5, via),
    'stops by it again': (world, via) => world.stopByLink(via),
    'a cap below the price': choose({ monthlyCapCents: 50 }),
    'switches renewals on': (world, via) => world.setRenewal(true, via),
    'runs low a last time': runLow,
    'the job stops at the cap': check,
    'a cap that is as low': choose({ monthlyCapCents: 60 }),
    'a month passes': pass(31 * DAY_MS),
    'the job is still at the cap': check,
    'no cap any more': choose({
      monthlyCapCents: undefined,
      maxRenewalsPerHour: undefined,
      maxRenewalsPerDay: undefined,
    }),
    'the jobs run': jobs,
  },
  'units that run out without renewals': {
    ...begun,
    'switches renewals off': (world, via) => world.setRenewal(false, via),
    'spends all': (world, via) => world.consumeTo(0, via),
    'asks for more': (world, via) => world.consume(5, via),
    'the job tells': check,
    'asks for more again': (world, via) => world.consume(5, via),
    'the job has told': check,
  },
  'settings of renewals': {
    'below some units before the first bundle': choose({ below: 200 }),
    'below too many units before the first bundle': choose({ below: 900_000 }),
    ...begun,
    'below half of the bundle': choose({ below: 500 }),
    'below more than half': choose({ below: 501 }),
    'below a share': choose({ below: 0.3 }),
    'the default again': choose({ below: undefined }),
    'another bundle': choose({ renewalBundle: 'DEVELOPER' }),
    'below half of that bundle': choose({ below: 50_000 }),
    'a bundle that is not sold': choose({ renewalBundle: 'NOTHING' }),
    'the bundle that it has': choose({ renewalBundle: 'STARTER', below: undefined }),
    'runs low': runLow,
    'the job renews': check,
    'all at once': choose({
      renewalBundle: 'DEVELOPER',
      below: 0.4,
      monthlyCapCents: 9_000,
      maxRenewalsPerDay: 4,
    }),
    'the job renews again': check,
    'the jobs run': jobs,
  },
  'a card that is declined ten times': {
    ...begun,
    'the bank declines the card': bank(DECLINED),
    ...Object.fromEntries(
      Array.from({ length: 9 }, (_, n): [string, Step] => [
        `buys, number ${n + 1}`,
        async (world, via) => {
          world.advance(9 * HOUR_MS)
          return world.buy(via)
        },
      ]),
    ),
    'runs low': runLow,
    'a day passes': pass(DAY_MS),
    'the job tries for the tenth time': check,
    'half a day passes': pass(12 * HOUR_MS),
    'the job waits for the bank': check,
    'the jobs run': jobs,
  },
  'a renewal that is open and would be another one now': {
    ...begun,
    'runs low': runLow,
    'the payment is not created': whileDown('createPayment', check),
    'the price changes': sells(1000),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job ends it': settle,
    'the payment is not created again': whileDown('createPayment', check),
    'other units are sold': sells(900),
    'two more minutes pass': pass(2 * MINUTE_MS),
    'the job ends that as well': settle,
    'the payment is not created a third time': whileDown('createPayment', check),
    'another bundle is chosen': choose({ renewalBundle: 'DEVELOPER' }),
    'two minutes pass again': pass(2 * MINUTE_MS),
    'the job ends the third': settle,
    'the bundle that it has again': choose({ renewalBundle: undefined }),
    'the payment is not created for the old card': whileDown('createPayment', check),
    'another card is the default': async (world) => {
      const { accountId, ports } = world
      await ports.table.update(keys.customer(accountId), expr`SET #defaultCardId = ${'pm_other'}`)
    },
    'two minutes pass with it': pass(2 * MINUTE_MS),
    'the job ends the one of the old card': settle,
    'the old card is the default': async (world) => {
      const { accountId, ports } = world
      const card = world.items().find(({ sk }) => String(sk).startsWith('CARD#'))
      const id = String(card?.sk).slice('CARD#'.length)
      await ports.table.update(keys.customer(accountId), expr`SET #defaultCardId = ${id}`)
    },
    'the payment is not created a fourth time': whileDown('createPayment', check),
    'an operator grants units': (world, via) => world.grant(200_000, via),
    'two minutes pass once more': pass(2 * MINUTE_MS),
    'the job ends the fourth': settle,
  },
  'a purchase that is declined, ordered again': {
    ...begun,
    'a day passes': pass(DAY_MS),
    'the bank declines the card': bank(DECLINED),
    buys: buy('key-1'),
    'buys again': buy('key-1'),
    'the bank accepts the card again': bank(GOOD),
    'buys once more': buy('key-1'),
    'buys with another key': buy('key-2'),
  },
  'a renewal that is open while its account changes': {
    ...begun,
    'runs low': runLow,
    'the payment is not created': whileDown('createPayment', check),
    'is suspended': (world, via) => world.suspend(via),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job ends it': settle,
    'is resumed': (world, via) => world.resume(via),
    'the payment is not created again': whileDown('createPayment', check),
    'two more minutes pass': pass(2 * MINUTE_MS),
    'the job goes on with it': settle,
    'runs low again': runLow,
    'the payment is not created once more': whileDown('createPayment', check),
    'switches renewals off': (world, via) => world.setRenewal(false, via),
    'two minutes pass again': pass(2 * MINUTE_MS),
    'the job ends that': settle,
  },
  'a renewal that waits for its customer': {
    ...begun,
    'the bank wants to see the customer': bank(ALWAYS_3DS),
    'runs low': runLow,
    'the job tries to renew': check,
    'the customer comes': buy(),
    authenticates: async (world) => world.authenticate(),
    'the events of the payment arrive': deliver,
    'runs low again': runLow,
    'the job tries again': check,
    'a day passes': pass(DAY_MS + MINUTE_MS),
    'the job ends it': settle,
    'the jobs run': jobs,
  },
  'payments of which nobody knows': {
    ...begun,
    'a charge by hand': byHand({}),
    'a charge by hand for a purchase of ours': byHand({
      account: '6740000000000000000000a1',
      purchase: '0'.repeat(24),
      stage: 'world',
    }),
    'a charge by hand for a hold of ours': byHand({
      account: '6740000000000000000000a1',
      purchase: `hold_${'0'.repeat(24)}`,
      stage: 'world',
    }),
    'the events of the charges arrive': deliver,
    'an hour passes': pass(HOUR_MS),
    'an operator compares': reconcileAll,
    'an operator compares again': reconcileAll,
    'an operator compares the account': reconcile,
    'a charge is refunded': (world) => world.refund(-1),
    'a day passes': pass(DAY_MS),
    'the job compares': (world, via) => world.job('compareRecorded', via),
  },
  'purchases that a restore has lost, and the customer': {
    ...begun,
    buys: buy(),
    'the events of the purchase arrive': deliver,
    'a restore loses the purchase and the customer': async (world, via) => {
      await lost(world, via)
      const { customer } = await world.account()
      const { accountId, ports } = world
      await ports.table.update(keys.profile(accountId), expr`REMOVE #customerId`)
      await ports.table.remove(keys.customerOwner(customer?.id ?? ''))
      await ports.table.remove(keys.customer(accountId))
    },
    'runs low': runLow,
    'an hour passes': pass(HOUR_MS),
    'the job does not renew yet': restored(check),
    'what was sold is edited': async (world) => {
      const { metadata } = newestPayment(world) ?? {}
      if (metadata) metadata.sold = `x${metadata.sold}`
    },
    'an operator compares what does not tell': restored(reconcileAll),
    'it is put right': async (world) => {
      const { metadata } = newestPayment(world) ?? {}
      if (metadata) metadata.sold = metadata.sold?.slice(1) ?? ''
    },
    'an operator compares': restored(reconcileAll),
    'another day passes': pass(DAY_MS),
    'an operator compares again': restored(reconcileAll),
    'a day passes': pass(DAY_MS),
    'the job renews if it must': restored(check),
    'an operator compares the account': restored(reconcile),
  },
  'purchases that are lost without a restore': {
    ...begun,
    buys: buy(),
    'the events of the purchase arrive': deliver,
    'a restore loses the purchase': lost,
    'an hour passes': pass(HOUR_MS),
    'the job finds the payment': (world, via) => world.job('comparePayments', via),
    'the job settles it': settle,
    'an operator compares the account': reconcile,
  },
  'an account whose parts do not agree': {
    ...begun,
    'an operator compares the account': reconcile,
    'the counter is behind': async (world) => {
      const { accountId, ports } = world
      await ports.table.update(keys.quota(accountId), expr`SET #l = #l - ${1000}, #s = ${1}`)
    },
    'an operator compares that': reconcile,
    'a purchase is left': async (world, via) => {
      await whileDown('confirmPayment', buy(), true)(world, via)
      world.advance(HOUR_MS)
    },
    'an operator compares the open one': reconcile,
    'a purchase is not finished': async (world) => {
      const item = world.items().find(({ sk }) => String(sk).startsWith('PURCHASE#'))
      await world.ports.table.put({ ...item, finished: undefined })
    },
    'an operator compares the unfinished one': reconcile,
    'a refund is not booked': async (world) => {
      await world.refund(0, 9)
      world.loseEvents()
    },
    'an operator compares the refunded one': reconcile,
    'the balance is off': async (world) => {
      await world.ports.table.update(keys.profile(world.accountId), expr`SET #balanceCents = ${77}`)
    },
    'an operator compares the balance': reconcile,
    'an entry is off': async (world) => {
      const entry = world.items().find(({ sk }) => String(sk) === 'LEDGER#000000000003')
      await world.ports.table.put({ ...entry, units: 999 })
    },
    'an operator compares the entry': reconcile,
    'an entry is there twice': async (world) => {
      const entry = world.items().find(({ sk }) => String(sk) === 'LEDGER#000000000003')
      await world.ports.table.put({ ...entry, units: 1000 })
      await world.ports.table.put({ ...entry, ...keys.ledger(world.accountId, 7), seq: 7, units: 1000 })
    },
    'an operator compares the two': reconcile,
    'a payment is off': async (world) => {
      await world.ports.table.remove(keys.ledger(world.accountId, 7))
      const entry = world.items().find(({ sk }) => String(sk) === 'LEDGER#000000000002')
      await world.ports.table.put({ ...entry, amountCents: 98 })
    },
    'an operator compares the payment': reconcile,
    'an operator compares one that is not there': async (_, via) =>
      reconcileAccount({ ...via, origin: { by: 'operator', name: 'bob' } } as Ports, 'f'.repeat(24), {
        reason: 'a ticket',
      }).catch((error: DomainError) => error.code),
  },
}

describe('stored by each step of a purchase, with its answer and its calls', () => {
  test.each(Object.entries(flows))('%s', async (title, steps) => {
    const world = await openPurchaseWorld()
    const text = await playedSteps(world, world.items, steps)
    // Steps take the confirmation of the address and the default card away, without their events.
    const isMeant = (mistake: string) =>
      mistake.includes('account.confirmed') || mistake.startsWith('events: #CUSTOMER')
    const mistakes = world.mistakes.filter((mistake) => !isMeant(mistake))
    const said = [...world.alarms, ...mistakes].join('\n')
    const file = title.replaceAll(/[^A-Za-z0-9]+/g, '-')
    await expect(`${text}\n${said.replaceAll(/_[A-Za-z0-9]{16,}/g, '_n')}\n`).toMatchFileSnapshot(
      `__snapshots__/purchases/${file}.txt`,
    )
  })
})
