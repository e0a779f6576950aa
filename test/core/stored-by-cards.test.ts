/**
 * What each step of verifying, changing, replacing, reporting and removing cards leaves in the table, what it answers,
 * and which calls it makes, in their order. A change of the snapshot is a change of stored data, of costs or of the order
 * in which the provider and the table learn of something: look whether it is meant.
 */
import { describe, expect, test } from 'vitest'
import { blockCard, listBlockedCards, unblockCard } from '../../core/cards/blocks.ts'
import { sweepCustomerDetails } from '../../core/cards/customer-details.ts'
import { type CardToProve, proveCard, stopVerification } from '../../core/cards/verify.ts'
import { DomainError } from '../../core/errors.ts'
import type { Payments, Ports } from '../../core/ports.ts'
import { expr } from '../../core/table/expression.ts'
import { dueAt, keys } from '../../core/table/keys.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import {
  ADDRESS,
  ALWAYS_3DS,
  DAY_MS,
  DECLINED,
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

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    (answer) => (answer === undefined ? 'done' : JSON.stringify(answer)),
    (error) =>
      error instanceof DomainError ? [error.code, error.retryAfterSeconds].join(' ') : String(error),
  )
const prove = async (
  world: PurchaseWorld,
  via: Ports,
  cardId: string,
  idempotencyKey?: string,
  purpose: CardToProve['purpose'] = 'verify',
) => codeOf(proveCard(via, await world.account(), { purpose, cardId }, { idempotencyKey }))

/** The card that a flow is about. */
let card = ''
const verify =
  (number: string, key?: string): Step =>
  async (world, via) => {
    card = await world.newCard(number)
    return prove(world, via, card, key)
  }
const verifyAgain =
  (key?: string): Step =>
  (world, via) =>
    prove(world, via, card, key)
const deliver: Step = (world, via) => world.deliver(via)
const sweep: Step = async (world, via) =>
  [await world.job('sweepHolds', via), await world.job('sweepCards', via)].join(' ')
const pass =
  (ms: number): Step =>
  async (world) =>
    world.advance(ms)
const authenticate =
  (outcome: 'succeed' | 'fail' = 'succeed'): Step =>
  async (world) =>
    world.authenticate(outcome)
/** The same, while calls of the provider end in an outage, `after` they have taken effect or before. */
const whileDown =
  (methods: (keyof Payments)[], step: Step, after = false): Step =>
  (world, via) => {
    const down = () => new DomainError('temporarily_unavailable')
    const broken = methods.map((method) => [
      method,
      async (...request: unknown[]) => {
        if (after) await (via.payments[method] as (...all: unknown[]) => Promise<unknown>)(...request)
        throw down()
      },
    ])
    return step(world, { ...via, payments: { ...proxied(via.payments), ...Object.fromEntries(broken) } })
  }
const proxied = (payments: Payments): Payments =>
  Object.fromEntries(
    METHODS.map((method) => [
      method,
      (...request: unknown[]) => (payments[method] as (...all: unknown[]) => unknown)(...request),
    ]),
  ) as unknown as Payments
const METHODS = [
  ...[
    'createCustomer',
    'updateCustomer',
    'readCustomer',
    'readCard',
    'cardFingerprintOf',
    'attachCard',
    'detachCard',
  ],
  ...[
    'createPayment',
    'confirmPayment',
    'cancelPayment',
    'readPayment',
    'listPayments',
    'readCharge',
    'listCards',
  ],
] as (keyof Payments)[]

const remove: Step = (world, via) => world.remove(card, via)
const other =
  (number: string): Step =>
  async (world, via) => {
    const first = card
    const answer = await verify(number)(world, via)
    card = first
    return answer
  }

const flows: Record<string, Record<string, Step>> = {
  'cards that are verified': {
    'verifies a first card': verify(GOOD),
    'verifies it again': verifyAgain(),
    'the events arrive': deliver,
    'ten minutes pass': pass(10 * MINUTE_MS),
    'verifies it once more': verifyAgain(),
    'a second card is no default card': other(OTHER),
    'an hour passes': pass(HOUR_MS),
    'the same number typed again takes its place': other(GOOD),
    'types another number again': other(OTHER),
    'verifies a third card': other('5555555555554444'),
    'verifies too many cards': other(OTHER),
    'the last events arrive': deliver,
    'a day passes': pass(DAY_MS),
    'the jobs run': sweep,
  },
  'a declined card': {
    'verifies a declined card': verify(DECLINED),
    'the events arrive': deliver,
    'verifies it again': verifyAgain(),
    'verifies one that was lost': verify('4000000000009987'),
    'an hour passes': pass(HOUR_MS),
    'verifies the lost one again': verifyAgain(),
    'a day passes': pass(DAY_MS),
    'types the number of the lost one anew': verify('4000000000009987'),
    'verifies one that is no card': async (world, via) => prove(world, via, 'pm_nothing'),
    'the last events arrive': deliver,
  },
  'a card that is verified with an Idempotency-Key': {
    'verifies with a key': verify(GOOD, 'key-1'),
    'repeats it': verifyAgain('key-1'),
    'repeats the key for another card': async (world, via) => prove(world, via, 'pm_other', 'key-1'),
    'the events arrive': deliver,
    'verifies a declined card with a key': verify(DECLINED, 'key-2'),
    'repeats the declined one': verifyAgain('key-2'),
    'verifies one with 3-D Secure': verify(ALWAYS_3DS, 'key-3'),
    'repeats it while it is open': verifyAgain('key-3'),
    'joins it with another key': verifyAgain('key-4'),
    'the customer authenticates': authenticate(),
    'the events of the proof arrive': deliver,
    'repeats it with the first key': verifyAgain('key-3'),
    'repeats it with the other key': verifyAgain('key-4'),
    'two days pass': pass(2 * DAY_MS),
    'the jobs run': sweep,
  },
  'a verification that needs its customer': {
    'begins without a key': verify(ALWAYS_3DS),
    'repeats it with a key': verifyAgain('key-1'),
    'fails to authenticate': authenticate('fail'),
    'the events arrive': deliver,
    'repeats it with the key': verifyAgain('key-1'),
    'begins again': verify(ALWAYS_3DS),
    'begins the same for a change': async (world, via) => prove(world, via, card, undefined, 'change'),
    'an hour passes': pass(HOUR_MS),
    'begins with another card': verify(ALWAYS_3DS),
    'is deactivated meanwhile': stopped,
    'the last events arrive': deliver,
  },
  'a verification whose customer authenticates while nobody listens': {
    begins: verify(ALWAYS_3DS),
    authenticates: authenticate(),
    'the events are lost': async (world) => world.loseEvents(),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job proves the card': sweep,
  },
  'a verification whose outcome is unknown': {
    'the payment is created, but the answer is lost': whileDown(['createPayment'], verify(GOOD), true),
    'repeats it': verifyAgain(),
    'the answer to the confirmation is lost': whileDown(['confirmPayment'], other(OTHER), true),
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job settles it': sweep,
    'the hold cannot be released': whileDown(['cancelPayment'], verify('5555555555554444')),
    'two more minutes pass': pass(2 * MINUTE_MS),
    'the job releases it': sweep,
    'the events arrive': deliver,
  },
  'a verification that its request abandons': {
    'the payment is created, but the answer is lost': whileDown(['createPayment'], verify(GOOD), true),
    'the job waits for the request': sweep,
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job ends it': sweep,
    'the payment is not created': whileDown(['createPayment'], verify(GOOD)),
    'another card is verified instead': verify(OTHER),
    'two more minutes pass': pass(2 * MINUTE_MS),
    'the job finds nothing more': sweep,
    'the events arrive': deliver,
  },
  'a hold that cannot be released': {
    'verifies with a key': whileDown(['cancelPayment'], verify(GOOD, 'key-1')),
    'repeats it while Stripe is down': whileDown(['cancelPayment'], verifyAgain('key-1')),
    'repeats it': verifyAgain('key-1'),
    'the events arrive': deliver,
  },
  'an account that is deactivated while its card is verified': {
    'begins to verify': verify(ALWAYS_3DS),
    'the customer authenticates': authenticate(),
    'is deactivated': stopped,
    'has nothing to stop': stopped,
    'the events arrive': deliver,
  },
  'a customer that the operator of Stripe deletes': {
    'verifies a card': verify(GOOD),
    'the events arrive': deliver,
    'the customer is deleted': async (world) =>
      world.stripe.operator.customers.del((await world.account()).customer?.id ?? '').then(() => 'deleted'),
    'buys before the event arrives': (world, via) => world.buy(via),
    'verifies before the event arrives': verify(OTHER),
    'the event arrives': deliver,
    'an hour passes': pass(HOUR_MS),
    'verifies another card': verify(OTHER),
    'the last events arrive': deliver,
  },
  'a default card that the operator of Stripe detaches': {
    'verifies a card': verify(GOOD),
    'verifies another one': other(OTHER),
    'the events arrive': deliver,
    'the first one is detached': async (world) =>
      world.stripe.operator.paymentMethods.detach(card).then(() => 'detached'),
    'the event of the end arrives': deliver,
    'the second one is detached': async (world) =>
      world.stripe.operator.paymentMethods.detach((await world.defaultCard()) ?? '').then(() => 'detached'),
    'the last events arrive': deliver,
  },
  'cards that are removed': {
    'verifies a card': verify(GOOD),
    'verifies another one': other(OTHER),
    'the events arrive': deliver,
    'removes one that is not there': (world, via) => world.remove('pm_nothing', via),
    'removes the default card while Stripe is down': whileDown(['detachCard', 'readCustomer'], remove),
    'removes it again': remove,
    'two minutes pass': pass(2 * MINUTE_MS),
    'the job detaches it': sweep,
    'the last events arrive': deliver,
    'begins a verification of the other one': async (world, via) => {
      card = (await world.defaultCard()) ?? ''
      world.advance(11 * MINUTE_MS)
      return whileDown(['confirmPayment'], verifyAgain())(world, via)
    },
    'cannot remove it meanwhile': remove,
  },
  'a card that expires': {
    'verifies a card': verify(GOOD),
    'the events arrive': deliver,
    'its last month begins': async (world) => world.advance(Date.UTC(2041, 3, 1) - world.nowMs()),
    'the job tells of it': sweep,
    'the job tells nothing more': sweep,
    'the month ends': async (world) => world.advance(Date.UTC(2041, 4, 1) - world.nowMs()),
    'the job tells of the end': sweep,
    'the job has told all': sweep,
  },
  'a card that expires unseen': {
    'verifies a card': verify(GOOD),
    'the month ends': async (world) => world.advance(Date.UTC(2041, 4, 1) - world.nowMs()),
    'the job tells of the end alone': sweep,
    'the bank sends another card': async (world) =>
      world.stripe.operator.paymentMethods
        .update(card, { card: { exp_month: 5, exp_year: 2045 } })
        .then(() => 'updated'),
    'the events arrive': deliver,
  },
  'a card that its bank replaces after it was declined': {
    'signs up': (world, via) => world.newCard(GOOD).then((id) => world.signUp(id, via)),
    'the events arrive': deliver,
    'the bank has closed the card': async (world) => {
      card = (await world.defaultCard()) ?? ''
      const memory = world.stripe.state.cards[card]
      if (memory) memory.number = '4000000000009987'
    },
    'runs low': (world, via) => world.consumeTo(3, via),
    'the job does not renew': (world, via) => world.job('checkQuotas', via),
    'the bank sends another card with another date': async (world) => {
      const memory = world.stripe.state.cards[card]
      if (memory) memory.number = GOOD
      return world.stripe.operator.paymentMethods
        .update(card, { card: { exp_month: 5, exp_year: 2045 } })
        .then(() => 'updated')
    },
    'the event of the card arrives': deliver,
    'the job renews': (world, via) => world.job('checkQuotas', via),
  },
  'an operator who blocks and unblocks a card': {
    'verifies a card': verify(GOOD),
    'verifies another one': other(OTHER),
    'the events arrive': deliver,
    'blocks the first': (world, via) =>
      blocked(blockCard(operator(via), `${world.accountId}/${card}`, 'a ticket')),
    'blocks it again': (world, via) =>
      blocked(blockCard(operator(via), `${world.accountId}/${card}`, 'a ticket')),
    'blocks one that is not there': (world, via) =>
      codeOf(blockCard(operator(via), `${world.accountId}/pm_nothing`, 'a ticket')),
    'blocks a number by its fingerprint': (_, via) =>
      blocked(blockCard(operator(via), 'another', 'a ticket')),
    'lists the blocked': listBlocked,
    'buys with it': (world, via) => world.buy(via),
    'an hour passes': pass(HOUR_MS),
    'types its number again': other(GOOD),
    'unblocks it': (world, via) =>
      blocked(unblockCard(operator(via), `${world.accountId}/${card}`, 'a ticket')),
    'unblocks it again': (world, via) =>
      blocked(unblockCard(operator(via), `${world.accountId}/${card}`, 'a ticket')),
    'lists the blocked afterwards': listBlocked,
  },
  'a charge that the holder of the card denies': {
    'signs up': (world, via) => world.newCard('4000000000000259').then((id) => world.signUp(id, via)),
    'the events arrive': deliver,
    'verifies the same number': verify('4000000000000259'),
    'lists the blocked': listBlocked,
    'an operator withdraws the report': async (world, via) =>
      blocked(unblockCard(operator(via), `${world.accountId}/${await world.defaultCard()}`, 'a ticket')),
    'the dispute is lost': (world) => world.decideDispute('losing_evidence'),
    'the events of the loss arrive': deliver,
    'lists the blocked afterwards': listBlocked,
    'an hour passes': pass(HOUR_MS),
    'verifies the same number again': verify('4000000000000259'),
  },
  'a bank that warns of a charge': {
    'signs up': (world, via) => world.newCard(GOOD).then((id) => world.signUp(id, via)),
    'the events arrive': deliver,
    'the bank warns of another charge': warned,
    'the warning arrives': deliver,
    'the warning arrives again, for all it says': (world, via) => world.job('compareReversals', via),
    'changes to another card': async (world, via) => {
      await world.setRenewal(false)
      world.advance(DAY_MS)
      return world.changeCard(await world.newCard(OTHER), via)
    },
    'the last events arrive': deliver,
  },
  'a warning whose event is lost': {
    'signs up': (world, via) => world.newCard(GOOD).then((id) => world.signUp(id, via)),
    'the events arrive': deliver,
    'the bank warns of another charge': warned,
    'the events are lost': async (world) => world.loseEvents(),
    'an hour passes': pass(HOUR_MS),
    'the job finds it': (world, via) => world.job('compareReversals', via),
    'the job finds nothing more': (world, via) => world.job('compareReversals', via),
  },
  'names and addresses that change': {
    'has no customer yet': details,
    'verifies a card': verify(GOOD),
    'changes its address': details,
    'has an address that Stripe does not take': (world, via) =>
      renamed(world, 'ädä@mail.example').then(() => details(world, via)),
    'Stripe is down': whileDown(['updateCustomer'], details),
    'Stripe is there again': (world, via) => sweepDetails(world, via),
    'the customer is deleted': async (world) =>
      world.stripe.operator.customers.del((await world.account()).customer?.id ?? '').then(() => 'deleted'),
    'changes once more': details,
    'an item is due whose account is gone': async (world, via) => {
      await world.ports.table.put({
        ...keys.customer('f'.repeat(24)),
        ...dueAt('CUSTOMER', 'f'.repeat(24), world.nowMs()),
      })
      return sweepDetails(world, via)
    },
  },
  'a change of the default card': {
    'changes without an address': async (world, via) =>
      codeOf(
        functionsOf(world).changeCard(via, await world.account(), {
          cardId: await world.newCard(GOOD),
          address: undefined,
        }),
      ),
    'verifies a card': verify(GOOD),
    'the events arrive': deliver,
    'changes to another one': async (world, via) => {
      card = await world.newCard(OTHER)
      return world.changeCard(card, via)
    },
    'sends the change again': (world, via) => world.changeCard(card, via),
    'the events of the change arrive': deliver,
    'a day passes': pass(DAY_MS - MINUTE_MS),
    'changes a minute too soon': async (world, via) => world.changeCard(await world.newCard(GOOD), via),
    'the minute passes': pass(MINUTE_MS),
    'changes to one with 3-D Secure': async (world, via) => {
      card = await world.newCard(ALWAYS_3DS)
      return world.changeCard(card, via)
    },
    'the customer authenticates': authenticate(),
    'the events of the proof arrive': deliver,
  },
}

const functionsOf = ({ functions }: PurchaseWorld) => functions
const operator = (via: Ports) => ({ ...via, origin: { by: 'operator', name: 'bob' } }) as Ports
const blocked = (call: Promise<{ digest: string; blockedAtMs?: number | undefined }>) =>
  call.then(
    ({ blockedAtMs }) => (blockedAtMs === undefined ? 'free' : `blocked since ${blockedAtMs}`),
    String,
  )

async function listBlocked(world: PurchaseWorld, via: Ports): Promise<string> {
  // The table in memory has the index, too.
  const listing = world.ports.table as unknown as Ports['listing']
  const { cards, next } = await listBlockedCards({ ...via, listing })
  return `${cards.length} ${next ?? 'and no more'}`
}

/** The bank warns of a charge that the operator of Stripe has made. */
async function warned(world: PurchaseWorld): Promise<string> {
  const { customer } = await world.account()
  const payment = await world.stripe.operator.paymentIntents.create({
    amount: 500,
    currency: 'usd',
    customer: customer?.id ?? '',
    payment_method: 'pm_card_createIssuerFraudRecord',
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    confirm: true,
  })
  return payment.status
}

async function stopped(world: PurchaseWorld, via: Ports): Promise<string> {
  return codeOf(stopVerification(via, await world.account()))
}

const sweepDetails = (_: PurchaseWorld, via: Ports) =>
  sweepCustomerDetails(via, WHOLE_RUN).then((worked) => JSON.stringify(worked))

/** The account's details change, and the job brings them to the provider. */
async function details(world: PurchaseWorld, via: Ports): Promise<string> {
  const { accountId, ports } = world
  const { dueAtMs, due } = dueAt('CUSTOMER', accountId, world.nowMs())
  const { customer } = await world.account()
  await ports.table.update(keys.profile(accountId), expr`SET #address = ${ADDRESS}`)
  if (customer)
    await ports.table.update(keys.customer(accountId), expr`SET #due = ${due}, #dueAtMs = ${dueAtMs}`)
  return sweepDetails(world, via)
}

const renamed = ({ accountId, ports }: PurchaseWorld, email: string) =>
  ports.table.update(keys.profile(accountId), expr`SET #email = ${email}`)

describe('stored by each step with a card, with its answer and its calls', () => {
  test.each(Object.entries(flows))('%s', async (title, steps) => {
    const world = await openPurchaseWorld()
    const text = await playedSteps(world, world.items, steps)
    // The events of a card that expires come of no change of its item.
    expect(world.mistakes.filter((mistake) => !mistake.includes('card.expir'))).toEqual([])
    await expect(text).toMatchFileSnapshot(
      `__snapshots__/cards/${title.replaceAll(/[^A-Za-z0-9]+/g, '-')}.txt`,
    )
  })
})
