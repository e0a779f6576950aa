import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import type { Ports } from '../../core/ports.ts'
import { bundleNames } from '../../core/purchases/catalogue.ts'
import type { RefundWanted } from '../../core/purchases/order-refund.ts'
import { books, checkAlways, settle } from './purchase-checks.ts'
import { PURCHASE_BREAKS, type PurchaseBreak, type Through, through } from './purchase-faults.ts'
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
  type Purchases,
  type PurchaseWorld,
  purchases,
  REFUND_FAILS,
  SECOND_MS,
} from './purchase-world.ts'

const NUMBERS = [GOOD, OTHER, ALWAYS_3DS, DECLINED, DISPUTED, REFUND_FAILS, '4000002500003155']

/** One thing that may happen; the number `n` decides the details. */
type Deed = (world: PurchaseWorld, n: number, via: Ports) => Promise<unknown> | unknown

const pick = <T>(options: readonly T[], n: number): T => options[n % options.length] as T
const keyOf = (n: number): string | undefined => pick([undefined, undefined, 'key-1', 'key-2'], n)
const couponOf = (n: number): string | undefined => pick([undefined, undefined, 'HALF', 'BONUS', 'LATE'], n)
/** Few keys and few orders, so that some are repeats and some use a key again. */
const orderKeyOf = (n: number): string | undefined => pick([undefined, 'key-1', 'key-3', undefined], n)
const CARD_KINDS = NUMBERS.length
const OPEN = ['requires_payment_method', 'requires_confirmation', 'requires_action']

async function aCard(world: PurchaseWorld, n: number): Promise<string> {
  const known = Object.keys(world.stripe.state.paymentMethods)
  const isKnown = n >= CARD_KINDS && known.length > 0
  return isKnown ? pick(known, n) : world.newCard(pick(NUMBERS, n))
}

/** Actions of people, of other systems and of jobs, which may run concurrently. */
const deeds: Record<string, Deed> = {
  signUp: async (world, n, via) =>
    world.signUp(await aCard(world, n), via, keyOf(n), pick(bundleNames, n), couponOf(n)),
  buy: (world, n, via) => world.buy(via, keyOf(n), couponOf(n)),
  change: (world, n, via) => world.change(pick(bundleNames, n), via, keyOf(n >> 1), couponOf(n)),
  backElsewhere: (world, n, via) => world.backElsewhere(pick([GOOD, OTHER], n), via),
  redeemElsewhere: (world, n, via) => world.redeemElsewhere(pick(['HALF', 'BONUS'], n), via),
  stopCoupon: (world, n, via) => (n % 8 === 0 ? world.stopCoupon('HALF', via) : undefined),
  consume: (world, n, via) => world.consume(pick([1, 60, 250, 900], n), via),
  consumeTo: (world, n, via) => world.consumeTo(pick([0, 3, 9, 90, 500], n), via),
  setRenewal: (world, n, via) => world.setRenewal(n % 3 > 0, via),
  /** Refused most of the time, and then a call for a renewal unless no bundle holds as much. */
  consumeMuch: (world, n, via) => world.consume(pick([950, 1000, 1001, 99_000], n), via),
  choose: (world, n, via) =>
    world.choose(
      {
        below: pick([undefined, 0.2, 0.5, 30, 480], n),
        ...(n % 3 === 0 && { renewalBundle: pick([undefined, ...bundleNames], n) }),
      },
      via,
    ),
  renewAtOnce: (world, _, via) => world.renewAtOnce(via),
  setAlerts: (world, n, via) => world.setAlerts(pick([[500, 0.2], [90, 0.5, 1000], [0.09], [5], []], n), via),
  tellAlerts: (world, _, via) => world.job('tellAlerts', via),
  publishEvents: (world, _, via) => world.job('publishEvents', via),
  setCap: (world, n, via) => world.setCap(pick([undefined, 0, 150, 5000], n), via),
  setLimits: (world, n, via) =>
    world.choose(
      pick([{ maxRenewalsPerHour: undefined }, { maxRenewalsPerHour: 1 }, { maxRenewalsPerDay: 2 }], n),
      via,
    ),
  stopByLink: (world, n, via) => (n % 3 === 0 ? world.stopByLink(via) : undefined),
  lease: (world, n, via) => world.lease(pick([5, 400, 2000], n), n % 2 === 0 ? 'return' : 'charge', via),
  report: (world, n, via) => world.report(n, pick([0, 3, 200, 900], n), pick([0, 0, 5, 600], n >> 2), via),
  expireReservations: (world, _, via) => world.job('expireReservations', via),
  remove: async (world, n, via) => {
    const known = Object.keys(world.stripe.state.paymentMethods)
    return world.remove(pick([...known, 'pm_none'], n), via)
  },
  changeCard: async (world, n, via) => world.changeCard(await aCard(world, n), via),
  deactivate: (world, n, via) => (n % 3 === 0 ? world.deactivate(via) : undefined),
  suspend: (world, n, via) => (n % 3 === 0 ? world.suspend(via) : undefined),
  resume: (world, _, via) => world.resume(via),
  settlePayments: (world, _, via) => world.job('settlePayments', via),
  checkQuotas: (world, _, via) => world.job('checkQuotas', via),
  sweepEvents: (world, _, via) => world.job('sweepEvents', via),
  sweepCards: (world, _, via) => world.job('sweepCards', via),
  sweepHolds: (world, _, via) => world.job('sweepHolds', via),
  comparePayments: (world, _, via) => world.job('comparePayments', via),
  compareRecorded: (world, _, via) => world.job('compareRecorded', via),
  compareReversals: (world, _, via) => world.job('compareReversals', via),
  deliver: (world, _, via) => world.deliver(via),
  deliverBackwards: async (world, n, via) => {
    for (const event of world.waiting().reverse().slice(0, n)) await world.receive(event, via)
  },
  deliverAgain: async (world, n, via) => {
    const events = Object.values(world.stripe.state.events)
    const event = events[(n * 7) % Math.max(1, events.length)]
    if (event) await world.receive(event, via)
  },
  authenticate: (world, n) => void world.authenticate(n % 4 === 0 ? 'fail' : 'succeed'),
  refund: (world, n) => world.refund(n % 3, pick([undefined, 10, 33, 99], n)),
  /** Somebody edits the metadata of a payment in the Dashboard. */
  editMetadata: (world, n) => {
    const payment = Object.values(world.stripe.state.paymentIntents).at(-1 - (n % 3))
    const purchase = pick(['0'.repeat(24), `hold_${'0'.repeat(24)}`], n)
    const edited = [{}, { account: world.accountId, purchase }, { account: world.accountId, stage: 'other' }]
    if (payment) payment.metadata = pick<Record<string, string>>(edited, n)
  },
  /** A payment that has taken no money is deleted, as test data is. */
  deletePayment: (world, n) => {
    const open = Object.values(world.stripe.state.paymentIntents).filter(
      ({ status, latest_charge: charge }) => OPEN.includes(status) && charge === null,
    )
    if (open.length > 0 && n % 4 === 0) world.stripe.deleteObjects([pick(open, n).id])
  },
  grant: (world, n, via) => world.grant(pick([1, 60, 700], n), via, orderKeyOf(n)),
  take: (world, n, via) => world.take(pick([1, 60, 700], n), n % 2 === 0, via, orderKeyOf(n)),
  credit: (world, n, via) => world.credit(pick([1, 99], n), via, orderKeyOf(n)),
  debit: (world, n, via) => world.debit(pick([1, 99, 500], n), via, orderKeyOf(n)),
  orderRefund: (world, n, via) =>
    world.orderRefund(
      n % 3,
      pick<RefundWanted>(
        [{ what: 'all' }, { what: 'units_left' }, { what: 'amount', amountCents: 33 }],
        n >> 1,
      ),
      via,
      orderKeyOf(n),
    ),
  settleRefunds: (world, _, via) => world.job('settleRefunds', via),
  decideDispute: (world, n) => world.decideDispute(n % 2 ? 'winning_evidence' : 'losing_evidence'),
}

/** What happens between two steps, while nothing is under way. */
const events: Record<string, Deed> = {
  restore: (world) => world.restore(),
  time: (world, n) =>
    world.advance(
      pick([5 * SECOND_MS, 61 * SECOND_MS, 11 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 25 * HOUR_MS], n),
    ),
  longTime: (world, n) => world.advance(pick([73 * HOUR_MS, 8 * DAY_MS, -2 * MINUTE_MS, -3 * HOUR_MS], n)),
  forgetKeys: (world) => world.stripe.forgetKeys(),
  /** No endpoint takes the events about money. Only an event tells what the operator does to cards. */
  loseEvents: (world) => {
    for (const event of world.waiting()) {
      if (/^(payment_intent|refund|charge)\./.test(event.type)) event.pending_webhooks = 0
    }
  },
  /** The secret key is that of another account for a while. */
  otherAccount: (world, n) =>
    world.stripe.faults.add({
      fault: 'other-account',
      // Only one call may find a payment absent whose customer is there: the key is put right between two calls.
      times: n % 3 === 0 ? 1 : 1 + (n % 5),
      match: pick(['GET /v1/payment_intents/*', 'GET /v1', 'POST /v1/payment_intents/*'], n),
    }),
  decline: (world, n) =>
    world.stripe.faults.add({
      fault: 'decline',
      times: 1,
      code: pick(['insufficient_funds', 'lost_card'], n),
    }),
  outage: (world, n) =>
    world.stripe.faults.add({
      fault: pick(['500', '429'] as const, n),
      ...(n % 4 > 1 && { code: 'after-commit' }),
      times: 1 + (n % 3),
      match: pick(['POST /v1/payment_intents$', 'POST /v1/payment_intents/*', 'GET /v1', 'POST /v1'], n),
    }),
  outageEnds: (world) => world.stripe.faults.clear(),
  /** The bank changes its mind about the default card. */
  bank: async (world, n) => {
    const memory = world.stripe.state.cards[(await world.defaultCard()) ?? '']
    if (memory) memory.number = pick([GOOD, DECLINED, GOOD, ALWAYS_3DS], n)
  },
}

/** What Stripe and its operator do to a card, of which only an event tells. */
const changes: Record<string, Deed> = {
  /** The network replaces the card behind the payment method. */
  replaceCard: async (world, n) => {
    const paymentMethod = await world.defaultCard()
    if (paymentMethod === undefined) return
    world.stripe.bank.updateCard({ paymentMethod, number: pick([GOOD, OTHER], n), expYear: 2042 + n })
  },
  /** The operator detaches the default card. */
  detachCard: async (world) => {
    const card = await world.defaultCard()
    if (card !== undefined) await world.stripe.operator.paymentMethods.detach(card).catch(() => {})
  },
  /** The bank warns of the last charge. */
  warn: (world) => {
    const charge = world.charges().at(-1)?.id
    if (charge !== undefined) world.stripe.bank.warn({ charge })
  },
}

interface Act {
  what: string
  n: number
  breaks: PurchaseBreak[]
  /** Turns of the event loop that each call waits, in the order of the calls. */
  pace: number[]
}

export type Step = Act[]

const names = (from: object, weights: Record<string, number>) =>
  fc.oneof(...Object.keys(from).map((what) => ({ weight: weights[what] ?? 2, arbitrary: fc.constant(what) })))

const act = (what: fc.Arbitrary<string>): fc.Arbitrary<Act> =>
  fc.record({
    what,
    n: fc.nat(15),
    breaks: fc.oneof(
      { weight: 3, arbitrary: fc.constant<PurchaseBreak[]>([]) },
      {
        weight: 1,
        arbitrary: fc.array(
          fc.record({ at: fc.integer({ min: 1, max: 16 }), kind: fc.constantFrom(...PURCHASE_BREAKS) }),
          { minLength: 1, maxLength: 2 },
        ),
      },
    ),
    pace: fc.array(fc.nat(6), { maxLength: 5 }),
  })

const deed = act(
  names(deeds, {
    signUp: 4,
    buy: 6,
    change: 3,
    consumeTo: 6,
    renewAtOnce: 3,
    checkQuotas: 5,
    settlePayments: 4,
    deliver: 4,
    orderRefund: 3,
  }),
)
const event = act(names({ ...events, ...changes }, { time: 8 }))

/** What happens to an account: a sequence of steps, each of one action or of two or three concurrent ones. */
export const histories: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: deed.map((one): Step => [one]) },
    { weight: 2, arbitrary: event.map((one): Step => [{ ...one, breaks: [] }]) },
    { weight: 2, arbitrary: fc.array(deed, { minLength: 2, maxLength: 3 }) },
  ),
  { minLength: 4, maxLength: 24, size: 'max' },
)

/** Plays a history from a sign-up on, lets everything settle, and checks that the account still works. */
export async function live(steps: readonly Step[], functions: Purchases = purchases): Promise<void> {
  const world = await openPurchaseWorld(functions)
  const onTheWay: Through[] = []
  await begin(world, steps[0]?.[0]?.n ?? 0)
  for (const [at, step] of steps.entries()) {
    const title = `step ${at + 1}, ${step.map(({ what }) => what).join(' along with ')}`
    await Promise.all(step.map((each) => perform(world, each, onTheWay)))
    checkAlways(world, title)
    // Late calls take effect at every third step.
    if (at % 3 === 2) for (const { arrive } of onTheWay.splice(0)) await arrive()
  }
  for (const { arrive } of onTheWay) await arrive()
  // With the key of another account nothing can be compared, of which the operator is told.
  if (steps.flat().some(({ what }) => what === 'otherAccount')) forgetAlarmsAboutKey(world)
  await settle(world, 'settled')
  await world.resume()
  await world.restore()
  await settle(world, 'settled again')
  await expectUsable(world)
}

/** The account signs up. Before that or meanwhile its card may come to back the trial of another account. */
async function begin(world: PurchaseWorld, n: number): Promise<void> {
  const card = await world.newCard(GOOD)
  if (n % 2 === 0) await world.consume(pick([60, 100, 1], n))
  if (n % 3 === 0) await world.backElsewhere(GOOD)
  await Promise.all([world.signUp(card), n % 3 === 1 ? world.backElsewhere(GOOD) : undefined])
}

function forgetAlarmsAboutKey({ alarms }: PurchaseWorld): void {
  const others = alarms.filter((alarm) => !alarm.includes('check that StripeSecretKey is of the right'))
  alarms.splice(0, alarms.length, ...others)
}

async function perform(
  world: PurchaseWorld,
  { what, n, breaks, pace }: Act,
  onTheWay: Through[],
): Promise<void> {
  const via = through(world.ports, {
    breaks,
    before: async (at) => {
      for (let turns = pace[at % Math.max(1, pace.length)] ?? 0; turns > 0; turns--) await turn()
    },
  })
  onTheWay.push(via)
  await (deeds[what] ?? events[what] ?? changes[what])?.(world, n, via.ports)
}

/** Asserts that the account can pay again and gets its units. */
async function expectUsable(world: PurchaseWorld): Promise<void> {
  world.advance(DAY_MS)
  const { profile, quota } = books(world)
  const card = await world.defaultCard()
  const memory = world.stripe.state.cards[card ?? '']
  if (profile.bundle === undefined) {
    assert.equal(await world.signUp(await world.newCard(GOOD)), 'paid', 'a final sign-up')
  } else if (memory) {
    // The card may be closed for good, so the network replaces it by one that nobody has used.
    world.stripe.bank.updateCard({ paymentMethod: card ?? '', number: '5555555555554444' })
    await world.deliver()
    assert.equal(await world.buy(), 'paid', 'a final buy')
  } else return
  await settle(world, 'usable')
  const owed = Object.values(profile.owed ?? {}).reduce((total, each) => total + each, 0)
  const now = books(world)
  assert.ok(now.quota.left + owed > quota.left, 'the units of the last purchase')
}

/** Plays one history per seed, from `seed` on. @returns the first failure, with its shortest history. */
export async function liveThrough(options: {
  seed: number
  runs: number
  functions?: Purchases
  /** Called after each run; the answer false ends the runs. */
  onRun?(done: number): boolean
}): Promise<{ runs: number; failure?: { seed: number; report: string } }> {
  for (let done = 0; done < options.runs; done++) {
    const seed = options.seed + done
    const property = fc.asyncProperty(histories, (steps) => live(steps, options.functions))
    const details = await fc.check(property, { seed, numRuns: 1, interruptAfterTimeLimit: 20_000 })
    if (details.failed) return { runs: done, failure: { seed, report: reportOf(seed, details) } }
    if (options.onRun?.(done + 1) === false) return { runs: done + 1 }
  }
  return { runs: options.runs }
}

function reportOf(seed: number, { counterexample, errorInstance }: fc.RunDetails<[Step[]]>): string {
  const lines = (counterexample?.[0] ?? []).map((step) => `  ${step.map(actText).join('\n    along with ')}`)
  const [problem = ''] = String((errorInstance as Error | undefined)?.stack ?? errorInstance).split(
    '\n    at ',
  )
  return [
    problem,
    'after a sign-up and:',
    ...lines,
    `replay: npm run torture -- --seed ${seed} --runs 1`,
  ].join('\n')
}

const actText = ({ what, n, breaks, pace }: Act): string =>
  [
    `${what}(${n})`,
    ...breaks.map(({ at, kind }) => `${kind} of call ${at}`),
    ...(pace.some((each) => each > 0) ? [`pace ${pace.join(' ')}`] : []),
  ].join(', ')
