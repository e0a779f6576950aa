import assert from 'node:assert/strict'
import type { Ports } from '../../core/ports.ts'
import type { Fault } from '../local/stripe/faults.ts'
import { EXHAUSTIVE } from './faults.ts'
import { misuseElsewhere } from './misused.ts'
import { books, checkAlways, checkSettled, settle } from './purchase-checks.ts'
import { type PurchaseBreak, type Through, through } from './purchase-faults.ts'
import {
  ALWAYS_3DS,
  DAY_MS,
  DECLINED,
  DISPUTED,
  GOOD,
  HOUR_MS,
  MINUTE_MS,
  type Order,
  openPurchaseWorld,
  type Purchases,
  type PurchaseWorld,
  purchases,
  REFUND_FAILS,
  SECOND_MS,
  type Snapshot,
} from './purchase-world.ts'

/** An action that moves money, and its expected result. */
export interface Flow {
  title: string
  /** @returns the id of the card that the flow uses. */
  prepare(world: PurchaseWorld): Promise<string>
  /** Acts as a client, a job or an event. @returns the answer. */
  act(world: PurchaseWorld, card: string, via: Ports, key?: string): Promise<string | number>
  /** Whether a client sends the request, so that the client can retry. */
  byClient: boolean
  /** How it can recover; every mode if undefined. */
  modes?: readonly Mode[]
  /** The outcome of 3-D Secure; undefined if the customer abandons 3-D Secure or the flow has none. */
  customer?: 'succeed' | 'fail'
  /** The answer when nothing breaks. */
  answer: string | number
  /** The number of credited purchases when nothing breaks. */
  credits: number
  /** The flow begins with an event, so that event must not be lost. */
  told?: true
  /** Checks what must hold at the end, whatever broke. */
  atTheEnd?(world: PurchaseWorld, title: string): void
}

/** Signs up with a card of this number and settles; a day passes. @returns the card's id. */
export async function held(world: PurchaseWorld, number = GOOD): Promise<string> {
  const card = await world.newCard(number)
  const answer = await world.signUp(card)
  if (answer === 'payment_action_required') world.authenticate()
  await settle(world, 'prepared')
  world.advance(DAY_MS)
  assert.equal(books(world).profile.bundle, 'STARTER')
  return card
}

/** As `held`, with so few units left that the bundle should renew. */
async function low(world: PurchaseWorld, number = GOOD): Promise<string> {
  const card = await held(world, number)
  assert.equal(await world.consumeTo(5), 'done')
  return card
}

const spent = (left: number) => async (world: PurchaseWorld) => {
  const card = await held(world)
  await world.setRenewal(false)
  await world.consumeTo(left)
  await settle(world, 'spent')
  return card
}

/** Makes the bank decline the next charges. */
async function declining(world: PurchaseWorld, card: string): Promise<string> {
  world.stripe.state.cards[card] = { number: DECLINED, setUp: true, spent: false }
  return card
}

/** Another account has misused the card. @returns the card's id. */
async function misused(world: PurchaseWorld, card: string): Promise<string> {
  await misuseElsewhere(world.ports, world.stripe.state.paymentMethods[card]?.card?.fingerprint)
  return card
}

/** The first card backs the trial of another account, and 60 of the 100 units of the own trial are spent. */
async function trialBacked(world: PurchaseWorld): Promise<string> {
  await world.backElsewhere(GOOD)
  assert.equal(await world.consume(60), 'done')
  return world.newCard(GOOD)
}

const signUp: Flow['act'] = (world, card, via, key) => world.signUp(card, via, key)
const buy: Flow['act'] = (world, _, via, key) => world.buy(via, key)
const renew: Flow['act'] = (world, _, via) => world.job('checkQuotas', via)
const hear: Flow['act'] = (world, _, via) => world.deliver(via)

const owing = (units: number) => (world: PurchaseWorld, title: string) => {
  const owed = Object.values(books(world).profile.owed ?? {}).reduce((total, each) => total + each, 0)
  assert.equal(owed, units, `${title}: units owed`)
}
const left = (units: number) => (world: PurchaseWorld, title: string) =>
  assert.equal(books(world).quota.left, units, `${title}: units left`)
const noticed = (type: string, times: number) => (world: PurchaseWorld, title: string) =>
  assert.equal(
    books(world).notices.filter((each) => each === type).length,
    times,
    `${title}: notices ${type}`,
  )
const hasDefaultCard = (world: PurchaseWorld): boolean =>
  books(world).items.some(({ sk, defaultCardId }) => sk === '#CUSTOMER' && defaultCardId !== undefined)
const all =
  (...checks: NonNullable<Flow['atTheEnd']>[]): NonNullable<Flow['atTheEnd']> =>
  (world, title) => {
    for (const check of checks) check(world, title)
  }

/** Orders of one operator's request, whatever it was answered: once if it was answered or repeated, else at most once. */
const carriedOut =
  (kind: Order['kind'], size: number): NonNullable<Flow['atTheEnd']> =>
  (world, title) => {
    const { ledger, refunds } = books(world)
    const sizes =
      kind === 'refund'
        ? refunds.filter(({ state }) => state === 'made').map(({ amountCents }) => amountCents)
        : ledger.filter((entry) => entry.kind === kind).map(({ units, amountCents }) => units + amountCents)
    const tries = world.ordered.filter(({ order }) => order.kind === kind)
    const mustBe = tries.some(({ made }) => made !== undefined) || tries.length > 1
    assert.ok(sizes.length === 1 || (sizes.length === 0 && !mustBe), `${title}: ${kind} ${sizes.join(', ')}`)
    if (sizes.length === 1) assert.equal(sizes[0], size, `${title}: size of the ${kind}`)
  }

/** Operators have a key for each request, so a click is no mode of theirs. */
const BY_OPERATOR: readonly Mode[] = ['jobs', 'client']

export const flows = {
  signUp: {
    title: 'a sign-up',
    prepare: (world) => world.newCard(GOOD),
    act: signUp,
    byClient: true,
    answer: 'paid',
    credits: 1,
    atTheEnd: (world, title) => assert.ok(hasDefaultCard(world), `${title}: the card is kept`),
  },
  signUpByToken: {
    title: 'a sign-up with a ConfirmationToken',
    prepare: (world) => world.newToken(GOOD),
    act: signUp,
    byClient: true,
    answer: 'paid',
    credits: 1,
  },
  signUpDeclined: {
    title: 'a sign-up with a declined card',
    prepare: (world) => world.newCard(DECLINED),
    act: signUp,
    byClient: true,
    answer: 'card_declined',
    credits: 0,
  },
  signUpBlocked: {
    title: 'a sign-up with a card that another account has misused',
    prepare: async (world) => misused(world, await world.newCard(GOOD)),
    act: signUp,
    byClient: true,
    answer: 'card_declined',
    credits: 0,
  },
  signUpTrialBacked: {
    title: 'a sign-up with a card that backs the trial of another account',
    prepare: (world) => trialBacked(world),
    act: signUp,
    byClient: true,
    answer: 'paid',
    credits: 1,
    atTheEnd: all(left(1000), noticed('trial_used', 1)),
  },
  proofTrialBacked: {
    title: 'a first card that backs the trial of another account',
    prepare: (world) => trialBacked(world),
    act: (world, card, via) => world.changeCard(card, via),
    byClient: true,
    modes: ['webhooks', 'jobs', 'both', 'click'],
    answer: 'proved',
    credits: 0,
    atTheEnd: (world, title) => {
      const isOnFile = hasDefaultCard(world)
      all(left(isOnFile ? 0 : 40), noticed('trial_used', isOnFile ? 1 : 0))(world, title)
    },
  },
  buyBlocked: {
    title: 'a buy with a card that another account has misused',
    prepare: async (world) => misused(world, await held(world)),
    act: buy,
    byClient: true,
    answer: 'card_declined',
    credits: 0,
  },
  renewalBlocked: {
    title: 'a renewal with a card that another account has misused',
    prepare: async (world) => misused(world, await low(world)),
    act: renew,
    byClient: false,
    answer: 0,
    credits: 0,
    atTheEnd: noticed('renewal_declined', 1),
  },
  signUp3ds: {
    title: 'a sign-up by 3-D Secure',
    prepare: (world) => world.newCard(ALWAYS_3DS),
    act: signUp,
    byClient: true,
    customer: 'succeed',
    answer: 'payment_action_required',
    credits: 1,
  },
  signUp3dsFails: {
    title: 'a sign-up whose 3-D Secure fails',
    prepare: (world) => world.newCard(ALWAYS_3DS),
    act: signUp,
    byClient: true,
    customer: 'fail',
    answer: 'payment_action_required',
    credits: 0,
  },
  signUp3dsLeft: {
    title: 'a sign-up whose 3-D Secure is abandoned',
    prepare: (world) => world.newCard(ALWAYS_3DS),
    act: signUp,
    byClient: true,
    answer: 'payment_action_required',
    credits: 0,
  },
  buy: {
    title: 'a buy',
    prepare: (world) => held(world),
    act: buy,
    byClient: true,
    answer: 'paid',
    credits: 1,
  },
  buyCoupon: {
    title: 'a buy with a coupon',
    prepare: (world) => held(world),
    act: (world, _, via, key) => world.buy(via, key, 'HALF'),
    byClient: true,
    answer: 'paid',
    credits: 1,
  },
  signUpCouponLeft: {
    title: 'a sign-up with a coupon whose 3-D Secure is abandoned',
    prepare: (world) => world.newCard(ALWAYS_3DS),
    act: (world, card, via, key) => world.signUp(card, via, key, 'STARTER', 'BONUS'),
    byClient: true,
    answer: 'payment_action_required',
    credits: 0,
  },
  buyDeclined: {
    title: 'a declined buy',
    prepare: async (world) => declining(world, await held(world)),
    act: buy,
    byClient: true,
    answer: 'card_declined',
    credits: 0,
  },
  buyOwing: {
    title: 'a buy that pays owed units',
    prepare: async (world) => {
      const card = await spent(300)(world)
      assert.ok(await world.refund(0))
      await settle(world, 'owing')
      return card
    },
    act: buy,
    byClient: true,
    answer: 'paid',
    credits: 1,
    atTheEnd: owing(0),
  },
  change: {
    title: 'a change of bundle',
    prepare: (world) => held(world),
    act: (world, _, via, key) => world.change('DEVELOPER', via, key),
    byClient: true,
    answer: 'paid',
    credits: 1,
  },
  renewal: {
    title: 'a renewal',
    prepare: (world) => low(world),
    act: renew,
    byClient: false,
    answer: 0,
    credits: 1,
    atTheEnd: all(left(1005), noticed('low_quota', 1)),
  },
  renewalDeclined: {
    title: 'a declined renewal',
    prepare: async (world) => declining(world, await low(world)),
    act: renew,
    byClient: false,
    answer: 0,
    credits: 0,
    atTheEnd: noticed('renewal_declined', 1),
  },
  renewal3ds: {
    title: 'a renewal that its customer must finish',
    prepare: (world) => low(world, ALWAYS_3DS),
    act: renew,
    byClient: false,
    answer: 0,
    credits: 0,
    atTheEnd: noticed('renewal_action', 1),
  },
  alert: {
    title: 'an alert',
    prepare: async (world) => {
      const card = await held(world)
      await world.setAlerts([500, 0.2, 5])
      await world.consumeTo(150)
      return card
    },
    act: async (world, _, via) =>
      (await world.job('checkQuotas', via)) + (await world.job('tellAlerts', via)),
    byClient: false,
    answer: 0,
    credits: 0,
    atTheEnd: noticed('quota_alert', 2),
  },
  alertBuy: {
    title: 'a buy after which an alert fires again before anybody was told',
    prepare: async (world) => {
      const card = await held(world)
      await world.setRenewal(false)
      await world.setAlerts([500])
      await world.consumeTo(450)
      return card
    },
    act: async (world, card, via, key) => {
      const answer = await buy(world, card, via, key)
      await world.consumeTo(400)
      return answer
    },
    byClient: true,
    answer: 'paid',
    credits: 1,
  },
  suspend: {
    title: 'a suspension while a buy waits for 3-D Secure',
    prepare: async (world) => {
      const card = await held(world, ALWAYS_3DS)
      assert.equal(await world.buy(), 'payment_action_required')
      return card
    },
    act: (world, _, via) => world.suspend(via),
    byClient: true,
    answer: 'done',
    credits: 0,
  },
  resume: {
    title: 'the end of a suspension in which a renewal waited',
    prepare: async (world) => {
      const card = await low(world)
      await world.suspend()
      assert.equal(await world.job('checkQuotas'), 0)
      assert.equal(await world.consume(1), 'account_suspended')
      return card
    },
    act: (world, _, via) => world.resume(via),
    byClient: true,
    answer: 'done',
    credits: 1,
    atTheEnd: left(1005),
  },
  refund: {
    title: 'a refund',
    prepare: async (world) => {
      const card = await held(world)
      await world.setRenewal(false)
      assert.ok(await world.refund(0))
      return card
    },
    act: hear,
    byClient: false,
    told: true,
    answer: 0,
    credits: 0,
    atTheEnd: all(owing(0), left(100)),
  },
  refundAfterSpending: {
    title: 'a partial refund after spending',
    prepare: async (world) => {
      const card = await spent(200)(world)
      assert.ok(await world.refund(0, 50))
      return card
    },
    act: hear,
    byClient: false,
    told: true,
    answer: 0,
    credits: 0,
    atTheEnd: all(owing(305), left(0)),
  },
  refundFails: {
    title: 'a refund that fails later',
    prepare: async (world) => {
      const card = await held(world, REFUND_FAILS)
      await world.setRenewal(false)
      assert.ok(await world.refund(0, 99))
      await world.deliver()
      world.advance(6 * SECOND_MS)
      world.stripe.tick()
      return card
    },
    act: hear,
    byClient: false,
    told: true,
    answer: 0,
    credits: 0,
    atTheEnd: all(owing(0), left(1100)),
  },
  dispute: {
    title: 'a dispute before any event was delivered',
    prepare: async (world) => {
      const card = await world.newCard(DISPUTED)
      await world.signUp(card, through(world.ports, { breaks: [{ at: 1000, kind: 'crash-after' }] }).ports)
      await world.setRenewal(false)
      return card
    },
    act: hear,
    byClient: false,
    told: true,
    answer: 0,
    credits: 0,
    atTheEnd: all(owing(0), left(100)),
  },
  disputeWon: {
    title: 'a dispute that is won when its units were owed',
    prepare: async (world) => {
      const card = await world.newCard(DISPUTED)
      await world.signUp(card)
      await world.setRenewal(false)
      await world.consumeTo(400)
      await world.deliver()
      assert.ok(await world.decideDispute('winning_evidence'))
      return card
    },
    act: hear,
    byClient: false,
    told: true,
    answer: 0,
    credits: 0,
    atTheEnd: all(owing(0), left(400)),
  },
  grant: {
    title: 'a grant that pays owed units',
    prepare: async (world) => {
      const card = await spent(300)(world)
      assert.ok(await world.refund(0))
      await settle(world, 'owing')
      assert.equal(await world.take(50, true), 'done')
      return card
    },
    act: (world, _, via, key) => world.grant(900, via, key),
    byClient: true,
    modes: BY_OPERATOR,
    answer: 'done',
    credits: 0,
    atTheEnd: all(carriedOut('grant', 900), (world, title) => {
      const isDone = books(world).ledger.some(({ kind }) => kind === 'grant')
      all(owing(isDone ? 0 : 750), left(isDone ? 150 : 0))(world, title)
    }),
  },
  take: {
    title: 'a take',
    prepare: (world) => spent(300)(world),
    act: (world, _, via, key) => world.take(250, false, via, key),
    byClient: true,
    modes: BY_OPERATOR,
    answer: 'done',
    credits: 0,
    atTheEnd: carriedOut('take', -250),
  },
  takeOwing: {
    title: 'a take of more units than are left',
    prepare: (world) => spent(300)(world),
    act: (world, _, via, key) => world.take(350, true, via, key),
    byClient: true,
    modes: BY_OPERATOR,
    answer: 'done',
    credits: 0,
    atTheEnd: all(carriedOut('take', -300), (world, title) => {
      const { quota } = books(world)
      owing(quota.left === 0 ? 50 : 0)(world, title)
    }),
  },
  debit: {
    title: 'a debit',
    prepare: async (world) => {
      const card = await held(world)
      assert.equal(await world.credit(500), 'done')
      return card
    },
    act: (world, _, via, key) => world.debit(500, via, key),
    byClient: true,
    modes: BY_OPERATOR,
    answer: 'done',
    credits: 0,
    atTheEnd: carriedOut('debit', -500),
  },
  refundOrdered: {
    title: 'a refund that an operator orders',
    prepare: (world) => spent(400)(world),
    act: (world, _, via, key) => world.orderRefund(0, { what: 'units_left' }, via, key),
    byClient: true,
    modes: BY_OPERATOR,
    answer: 'made',
    credits: 0,
    atTheEnd: carriedOut('refund', 39),
  },
} satisfies Record<string, Flow>

/**
 * What recovers a broken flow.
 * - `webhooks`: events are delivered, and jobs run only after all events are processed
 * - `jobs`: events are lost, and jobs run
 * - `both`: events are delivered, then jobs run
 * - `client`: the client retries with its Idempotency-Key until the answer is definite; `click`: the same
 *   without a key
 */
export const MODES = ['webhooks', 'jobs', 'both', 'client', 'click'] as const
export type Mode = (typeof MODES)[number]

export const modesOf = ({ byClient, modes = MODES }: Flow): Mode[] =>
  modes.filter((mode) => byClient || (mode !== 'client' && mode !== 'click'))

export interface Trouble {
  name?: string
  /** Breaks the flow. */
  breaks?: readonly PurchaseBreak[]
  /** Breaks the start of the recovery: the first delivery, the first jobs or the first retry. */
  after?: readonly PurchaseBreak[]
  /** A fault of Stripe while the flow runs. */
  fault?: Fault
  /** Before the recovery Stripe forgets its idempotency keys, and the clock moves by these milliseconds. */
  afterMs?: number
  functions?: Purchases
}

interface Prepared {
  snapshot: Snapshot
  card: string
}
const prepared = new Map<Flow, Promise<Prepared>>()

async function prepare(flow: Flow): Promise<Prepared> {
  const world = await openPurchaseWorld()
  const card = await flow.prepare(world)
  return { snapshot: world.snapshot(), card }
}

/** A world in which a flow can begin. It is prepared once and copied for each run. */
export async function worldFor(
  flow: Flow,
  functions: Purchases = purchases,
): Promise<{ world: PurchaseWorld; card: string }> {
  const made = prepared.get(flow) ?? prepare(flow)
  prepared.set(flow, made)
  const { snapshot, card } = await made
  return { world: await openPurchaseWorld(functions, snapshot), card }
}

/**
 * Plays a flow with the given trouble, lets it recover, and checks every guarantee.
 * @returns the port calls of the flow, and those of the first step of the recovery.
 */
export async function play(
  flow: Flow,
  mode: Mode,
  { name = 'unbroken', breaks = [], after = [], fault, afterMs = 0, functions }: Trouble = {},
): Promise<{ calls: string[]; callsAfter: string[] }> {
  const { world, card } = await worldFor(flow, functions)
  const title = `${flow.title}, ${name}, recovered by ${mode}`
  const creditsBefore = creditsOf(world)
  const key = mode === 'client' ? 'key-1' : undefined
  if (fault) world.stripe.faults.add(fault)
  const acted = through(world.ports, { breaks })
  const answers = [await flow.act(world, card, acted.ports, key)]
  checkAlways(world, title)
  if (afterMs !== 0) {
    world.advance(afterMs)
    world.stripe.forgetKeys()
  }
  if (flow.customer) world.authenticate(flow.customer)
  const next = through(world.ports, { breaks: after })
  await recover({ world, flow, card, mode, key, answers, acted, next, title })
  await settle(world, title)

  const what = `${title}, answered ${answers.join(', ')}`
  const credits = creditsOf(world) - creditsBefore
  const isBroken = breaks.length > 0 || after.length > 0 || fault !== undefined
  if (!isBroken) assert.equal(answers[0], flow.answer, what)
  assert.ok(credits <= Math.max(flow.credits, flow.byClient ? 0 : 1), `${what}: ${credits} credits`)
  const mustBe = !isBroken || answers.includes('paid')
  if (mustBe && flow.byClient) assert.equal(credits, flow.credits, `${what}: credits`)
  if (!flow.byClient) assert.equal(credits, flow.credits, `${what}: credits`)
  if (credits === flow.credits) flow.atTheEnd?.(world, what)
  return { calls: acted.calls, callsAfter: next.calls }
}

const creditsOf = (world: PurchaseWorld): number =>
  books(world).purchases.filter(({ state }) => state === 'credited').length

interface Recovery {
  world: PurchaseWorld
  flow: Flow
  card: string
  mode: Mode
  key: string | undefined
  answers: (string | number)[]
  acted: Through
  next: Through
  title: string
}

async function recover({
  world,
  flow,
  card,
  mode,
  key,
  answers,
  acted,
  next,
  title,
}: Recovery): Promise<void> {
  world.stripe.faults.clear()
  switch (mode) {
    case 'webhooks':
      await acted.arrive()
      await world.deliver(next.ports)
      await next.arrive()
      world.advance(HOUR_MS)
      assert.equal(await world.deliver(), 0, `${title}: events refused`)
      return checkHeard(world, title)
    case 'both':
      await world.deliver(next.ports)
      await acted.arrive()
      world.advance(2 * MINUTE_MS)
      await world.jobs(next.ports)
      return next.arrive()
    case 'jobs': {
      const lose = () => (flow.told ? undefined : world.loseEvents())
      for (const waitMs of [2 * MINUTE_MS, 11 * MINUTE_MS, 25 * HOUR_MS, 11 * MINUTE_MS]) {
        lose()
        world.catchUpClock()
        world.advance(waitMs)
        await world.jobs(waitMs === 2 * MINUTE_MS ? next.ports : world.ports)
        await acted.arrive()
        await next.arrive()
        if (flow.customer) world.authenticate(flow.customer)
        checkAlways(world, title)
      }
      lose()
      return checkSettled(world, title)
    }
    default: {
      for (let tries = 0; tries < 5 && !isDefinite(answers.at(-1)); tries++) {
        answers.push(await flow.act(world, card, tries === 0 ? next.ports : world.ports, key))
        await acted.arrive()
        if (flow.customer) world.authenticate(flow.customer)
        checkAlways(world, title)
        if (tries > 1) world.advance(61 * SECOND_MS)
      }
      await next.arrive()
    }
  }
}

/** Whether a client stops retrying after this answer. */
const isDefinite = (answer: string | number | undefined): boolean =>
  ['paid', 'card_declined', 'payment_action_required', 'done', 'made'].includes(String(answer))

/** Checks the result of events without jobs: every charge is credited, and its units are in the counter. */
function checkHeard(world: PurchaseWorld, title: string): void {
  const { ledger, profile, quota } = books(world)
  const paid = ledger.filter(({ kind }) => kind === 'payment').length
  assert.equal(world.charges().length, paid, `${title}: a charge that its event did not credit`)
  assert.equal(quota.seq, profile.ledgerSeq, `${title}: units that did not reach the counter`)
}

/** At most `most` of the items, evenly spread. */
export function spread<T>(items: readonly T[], most: number): T[] {
  if (EXHAUSTIVE || items.length <= most) return [...items]
  return Array.from({ length: most }, (_, n) => items[Math.floor((n * items.length) / most)] as T)
}

/** Every kind of break at every call of a flow. */
export function breaksOf(
  calls: readonly string[],
  kinds: readonly PurchaseBreak['kind'][],
): { breaks: PurchaseBreak[]; name: string }[] {
  return calls.flatMap((call, n) =>
    kinds
      .filter((kind) => kind !== 'late' || call.startsWith('payments.'))
      .map((kind) => ({ breaks: [{ at: n + 1, kind }], name: `${kind} of call ${n + 1}, ${call}` })),
  )
}

/** Runs `work` on each item. @returns the first line of each failure. */
export async function failuresOf<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<string[]> {
  const failures: string[] = []
  for (const item of items) {
    await work(item).catch((error: Error) => failures.push(String(error).split('\n')[0] ?? ''))
  }
  return failures
}
