import assert from 'node:assert/strict'
import type { Ports } from '../../core/ports.ts'
import { fingerprintOf } from '../support/shared-tries.ts'
import { Crash, EXHAUSTIVE } from './faults.ts'
import { misuseElsewhere } from './misused.ts'
import { books, checkAlways, settle } from './purchase-checks.ts'
import { through } from './purchase-faults.ts'
import { held } from './purchase-flows.ts'
import {
  ALWAYS_3DS,
  DAY_MS,
  DISPUTED,
  GOOD,
  MINUTE_MS,
  OTHER,
  openPurchaseWorld,
  type Purchases,
  type PurchaseWorld,
  purchases,
  SECOND_MS,
  type Snapshot,
} from './purchase-world.ts'

/** A request, a job, an event or a person that acts on the account. */
export interface Actor {
  title: string
  act(world: PurchaseWorld, via: Ports): unknown
  /** Actors with the same value send the same request; at most one of them may be charged. */
  same?: string
  /** The answer of the interrupted actor must stay the same. */
  harmless?: true
  /** Once the actor is done, no payment that was open before can take money any more. */
  closes?: true
  /** The actor makes so many calls that it is never the interrupted one. */
  long?: true
  /** Once the actor has its answer, no renewal begins any more. */
  stops?: true
  /** Once the actor is done, no bank is asked about a card any more, unless it is being asked already. */
  blocks?: true
}

/** A starting state, and the actors that act in it. */
export interface Scene {
  title: string
  prepare(world: PurchaseWorld): Promise<unknown>
  actors: Actor[]
}

const misuse: Actor = {
  title: 'another account disputes payments with the cards',
  blocks: true,
  long: true,
  act: async (_, via) => {
    for (const number of [GOOD, OTHER, ALWAYS_3DS]) await misuseElsewhere(via, fingerprintOf(number))
  },
}
const buy: Actor = { title: 'buy', act: (world, via) => world.buy(via), same: 'click' }
const buyWithKey: Actor = {
  title: 'buy with a key',
  act: (world, via) => world.buy(via, 'key-1'),
  same: 'key',
}
const change: Actor = { title: 'change', act: (world, via) => world.change('DEVELOPER', via), same: 'change' }
const renew: Actor = {
  title: 'check-quotas',
  act: (world, via) => world.job('checkQuotas', via),
  same: 'cycle',
}
const renewAtOnce: Actor = {
  title: 'the renewal that a consume starts',
  act: (world, via) => world.renewAtOnce(via),
  same: 'cycle',
}
const forbidRenewals: Actor[] = [
  { title: 'a cap of 0', act: (world, via) => world.setCap(0, via), stops: true },
  { title: 'auto-renewal is switched off', act: (world, via) => world.setRenewal(false, via), stops: true },
  { title: 'the link to stop', act: (world, via) => world.stopByLink(via), stops: true },
]
const settleJob: Actor = { title: 'settle-payments', act: (world, via) => world.job('settlePayments', via) }
const lateJobs: Actor = {
  title: 'the jobs a minute later',
  long: true,
  act: async (world, via) => {
    world.advance(MINUTE_MS)
    await world.job('settlePayments', via)
    await world.job('checkQuotas', via)
  },
}
const hear: Actor = { title: 'events', act: (world, via) => world.deliver(via), harmless: true }
const hearAll: Actor = {
  title: 'every event, including types without a subscription',
  long: true,
  harmless: true,
  act: async (world, via) => {
    for (const event of Object.values(world.stripe.state.events).slice(-6)) await world.receive(event, via)
  },
}
const hearTwice: Actor = {
  title: 'events twice, backwards, then the jobs',
  long: true,
  act: async (world, via) => {
    const events = world.waiting().reverse()
    for (const event of [...events, ...events]) await world.receive(event, via)
    world.advance(MINUTE_MS)
    await world.jobs(via)
  },
}
const spend: Actor = { title: 'consume', act: (world, via) => world.consume(100, via) }
const spendAll: Actor = { title: 'consume all', act: (world, via) => world.consumeTo(0, via) }
const leave: Actor = {
  title: 'deactivate',
  act: (world, via) => world.deactivate(via),
  closes: true,
}
const suspend: Actor = { title: 'suspend', act: (world, via) => world.suspend(via), closes: true }
const resume: Actor = { title: 'resume', act: (world, via) => world.resume(via) }
const removeCard: Actor = {
  title: 'card removal',
  act: async (world, via) => {
    await world.setRenewal(false, via)
    await world.remove((await world.defaultCard()) ?? '', via)
  },
}
const changeCard: Actor = {
  title: 'card change',
  act: async (world, via) => {
    await world.setRenewal(false, via)
    await world.changeCard(await world.newCard(OTHER), via)
    await world.setRenewal(true, via)
  },
}
const refund: Actor = {
  title: 'refund',
  act: async (world, via) => {
    await world.refund(0)
    await hearOnly(world, 'refund.created', via)
  },
}
const refundPart: Actor = {
  title: 'partial refund',
  act: async (world, via) => {
    await world.refund(0, 33)
    await hearOnly(world, 'charge.refunded', via)
  },
}

/** Plays a buy whose process crashed after its call number `at`, a minute ago. */
async function leftAt(world: PurchaseWorld, at: number): Promise<void> {
  await held(world)
  const { ports } = through(world.ports, { breaks: [{ at, kind: 'crash-after' }] })
  await world.buy(ports, 'key-1')
  world.advance(61 * SECOND_MS)
}

/** The request is repeated, and its process crashes as soon as the payment is confirmed. */
const confirmAndGo: Actor = {
  title: 'the same buy, crashed once it is confirmed',
  async act(world, via) {
    const confirmPayment: Ports['payments']['confirmPayment'] = async (...args) => {
      await via.payments.confirmPayment(...args)
      throw new Crash()
    }
    await world.buy({ ...via, payments: { ...world.ports.payments, confirmPayment } }, 'key-1')
  },
}

const KEY = 'order-1'
const buyUnkeyed: Actor = { title: 'a buy', act: (world, via) => world.buy(via) }
const refundUnheard: Actor = { title: 'a refund at Stripe', act: (world) => world.refund(0, 50) }
const operators: Actor[] = [
  { title: 'a grant', act: (world, via) => world.grant(300, via) },
  { title: 'a grant with a key', act: (world, via) => world.grant(300, via, KEY) },
  { title: 'a take', act: (world, via) => world.take(600, false, via) },
  { title: 'a take that may owe', act: (world, via) => world.take(600, true, via) },
  { title: 'a debit', act: (world, via) => world.debit(300, via) },
  {
    title: 'a refund of the units left',
    act: (world, via) => world.orderRefund(0, { what: 'units_left' }, via),
  },
  { title: 'a refund with a key', act: (world, via) => world.orderRefund(0, { what: 'all' }, via, KEY) },
  {
    title: 'settle-payments a minute later',
    long: true,
    act: async (world, via) => {
      world.advance(61 * SECOND_MS)
      await world.job('settleRefunds', via)
    },
  },
]

const leftActors = [settleJob, buyWithKey, confirmAndGo, buy, change, hear, lateJobs, leave, suspend, misuse]
/** Delivers the waiting events of one type and loses the others. */
async function hearOnly(world: PurchaseWorld, type: string, via: Ports): Promise<void> {
  for (const event of world.waiting()) {
    if (event.type === type) await world.receive(event, via)
    else event.pending_webhooks = 0
  }
}

function authenticateUnheard(world: PurchaseWorld): void {
  world.authenticate()
  world.loseEvents()
}

const verdictOf = (verdict: 'winning_evidence' | 'losing_evidence'): Actor => ({
  title: `the bank's verdict on ${verdict}`,
  act: async (world, via) => {
    await world.decideDispute(verdict)
    await hearOnly(world, 'charge.dispute.closed', via)
  },
})

export const scenes: Scene[] = [
  {
    title: 'nobody has signed up yet',
    prepare: async (world) => {
      await world.newCard(GOOD)
      await world.newCard(OTHER)
    },
    actors: [
      { title: 'sign-up', act: (world, via) => world.signUp(cardAt(world, 0), via), same: 'sign-up' },
      {
        title: 'sign-up with another card',
        act: (world, via) => world.signUp(cardAt(world, 1), via, undefined, 'DEVELOPER'),
        same: 'sign-up',
      },
      {
        title: 'sign-up with a key',
        act: (world, via) => world.signUp(cardAt(world, 0), via, 'key-1'),
        same: 'sign-up',
      },
      {
        title: 'a first card',
        act: (world, via) => world.changeCard(cardAt(world, 1), via),
      },
      {
        title: 'the card backs the trial of another account',
        act: (world, via) => world.backElsewhere(GOOD, via),
      },
      hear,
      lateJobs,
      spend,
      leave,
      misuse,
    ],
  },
  {
    title: 'the account has a bundle',
    prepare: (world) => held(world),
    actors: [
      buy,
      buyWithKey,
      change,
      removeCard,
      changeCard,
      refund,
      refundPart,
      spend,
      spendAll,
      leave,
      hear,
      hearAll,
      hearTwice,
      misuse,
    ],
  },
  {
    title: 'one redemption of a coupon is left',
    prepare: async (world) => {
      await held(world)
      await world.redeemElsewhere('HALF')
      await world.redeemElsewhere('HALF')
    },
    actors: [
      {
        title: 'buy with the coupon',
        act: (world, via) => world.buy(via, undefined, 'half'),
        same: 'coupon',
      },
      {
        title: 'buy with the coupon and a key',
        act: (world, via) => world.buy(via, 'key-2', 'HALF'),
      },
      {
        title: 'change with the coupon',
        act: (world, via) => world.change('DEVELOPER', via, undefined, 'HALF'),
      },
      {
        title: 'somebody else with the coupon',
        act: (world, via) => world.redeemElsewhere('HALF', via),
      },
      { title: 'the operator stops the coupon', act: (world, via) => world.stopCoupon('HALF', via) },
      leave,
      lateJobs,
    ],
  },
  {
    title: 'a renewal is due',
    prepare: async (world) => {
      await held(world)
      await world.consumeTo(5)
    },
    // The second request sees the units of the first one or gets its answer, so together they buy one bundle.
    actors: [
      { ...renew, same: 'refill' },
      { ...buy, same: 'refill' },
      misuse,
      change,
      removeCard,
      changeCard,
      refund,
      spend,
      spendAll,
      leave,
      suspend,
      lateJobs,
    ],
  },
  {
    title: 'a renewal is due, and the account is suspended',
    prepare: async (world) => {
      await held(world)
      await world.consumeTo(5)
      await world.suspend()
    },
    actors: [
      resume,
      suspend,
      { ...renew, same: 'refill' },
      { ...buy, same: 'refill' },
      leave,
      refund,
      spend,
      lateJobs,
    ],
  },
  {
    title: 'a request was refused for want of units',
    prepare: async (world) => {
      await held(world)
      await world.consumeTo(20)
      assert.equal(await world.consume(30), 'quota_exhausted')
    },
    actors: [
      { ...renew, same: 'refill' },
      { ...renewAtOnce, same: 'refill' },
      { ...buy, same: 'refill' },
      change,
      refund,
      { title: 'a refused consume', act: (world, via) => world.consume(40, via) },
      {
        title: 'another choice',
        act: (world, via) => world.choose({ below: 15, renewalBundle: 'STARTER' }, via),
      },
      spendAll,
      leave,
      lateJobs,
    ],
  },
  {
    title: 'a renewal is due, and auto-renewal is off',
    prepare: async (world) => {
      await held(world)
      await world.setRenewal(false)
      await world.consumeTo(5)
    },
    actors: [
      renew,
      { title: 'auto-renewal is switched on', act: (world, via) => world.setRenewal(true, via) },
      { title: 'buy', act: (world, via) => world.buy(via) },
      spendAll,
    ],
  },
  {
    title: 'a renewal is due, and its owner wants none',
    prepare: async (world) => {
      await held(world)
      await world.consumeTo(5)
    },
    actors: [renew, ...forbidRenewals, { title: 'buy', act: (world, via) => world.buy(via) }],
  },
  {
    title: 'a renewal is due after as many as an hour allows',
    prepare: async (world) => {
      await held(world)
      await world.choose({ maxRenewalsPerHour: 1 })
      await world.consumeTo(5)
      await world.job('checkQuotas')
      world.advance(MINUTE_MS)
      await world.consumeTo(5)
    },
    actors: [
      { ...renew, same: 'cycle' },
      {
        title: 'a higher limit',
        act: (world, via) => world.choose({ maxRenewalsPerHour: 2 }, via),
      },
      { title: 'buy', act: (world, via) => world.buy(via) },
      ...forbidRenewals,
    ],
  },
  {
    title: 'a renewal is due by a card that asks for 3-D Secure',
    prepare: async (world) => {
      await held(world, ALWAYS_3DS)
      await world.consumeTo(5)
    },
    actors: [renew, hear, lateJobs, buy, changeCard],
  },
  ...[2, 3, 4, 5, 8].map(
    (at): Scene => ({
      title: `a buy crashed after its call ${at}`,
      prepare: (world) => leftAt(world, at),
      actors: leftActors,
    }),
  ),
  {
    title: 'a buy waits for 3-D Secure',
    prepare: async (world) => {
      await held(world, ALWAYS_3DS)
      assert.equal(await world.buy(), 'payment_action_required')
    },
    actors: [
      {
        title: '3-D Secure succeeds',
        act: async (world, via) => {
          world.authenticate()
          await world.deliver(via)
        },
      },
      {
        title: '3-D Secure fails',
        act: async (world, via) => {
          world.authenticate('fail')
          await world.deliver(via)
        },
      },
      {
        title: '3-D Secure succeeds, and its event is lost',
        act: (world) => void authenticateUnheard(world),
      },
      buy,
      change,
      {
        title: 'the jobs a day later',
        act: async (world, via) => {
          world.advance(DAY_MS + MINUTE_MS)
          await world.job('settlePayments', via)
        },
      },
      leave,
      suspend,
      changeCard,
      {
        title: 'the card is blocked, and settle-payments runs minutes later',
        long: true,
        closes: true,
        act: async (world, via) => {
          await misuse.act(world, via)
          world.advance(6 * MINUTE_MS)
          await world.job('settlePayments', via)
        },
      },
    ],
  },
  {
    title: 'an operator acts',
    prepare: async (world) => {
      await held(world)
      await world.setRenewal(false)
      await world.consumeTo(400)
      await world.credit(500)
    },
    actors: [...operators, buyUnkeyed, spendAll, refundUnheard, hear],
  },
  {
    title: 'a payment is disputed',
    prepare: async (world) => {
      await world.signUp(await world.newCard(DISPUTED))
      await world.setRenewal(false)
      for (const event of world.waiting()) {
        if (event.type === 'charge.dispute.created') continue
        if (event.type === 'payment_intent.succeeded') await world.receive(event)
        event.pending_webhooks = 0
      }
    },
    actors: [
      hear,
      spendAll,
      spend,
      verdictOf('winning_evidence'),
      verdictOf('losing_evidence'),
      {
        title: 'another card, then buy',
        long: true,
        async act(world, via) {
          await changeCard.act(world, via)
          await world.buy(via)
        },
      },
      hearTwice,
    ],
  },
]

const cardAt = (world: PurchaseWorld, n: number): string =>
  Object.keys(world.stripe.state.paymentMethods)[n] ?? ''

const isOpenIntent = ({ status }: { status: string }) => status !== 'succeeded' && status !== 'canceled'

const snapshots = new Map<Scene, Promise<Snapshot>>()

async function enter(scene: Scene, functions: Purchases): Promise<PurchaseWorld> {
  const made =
    snapshots.get(scene) ??
    openPurchaseWorld().then(async (world) => {
      await scene.prepare(world)
      return world.snapshot()
    })
  snapshots.set(scene, made)
  return openPurchaseWorld(functions, await made)
}

interface Alone {
  answer: unknown
  calls: number
}

const alone = new Map<string, Promise<Alone>>()

/** The answer of an actor that nothing interrupts, and the number of its calls. */
function aloneIn(scene: Scene, actor: Actor): Promise<Alone> {
  const name = `${scene.title}: ${actor.title}`
  const known = alone.get(name) ?? actAlone(scene, actor)
  alone.set(name, known)
  return known
}

async function actAlone(scene: Scene, actor: Actor): Promise<Alone> {
  const world = await enter(scene, purchases)
  const { ports, calls } = through(world.ports)
  const answer = await actor.act(world, ports)
  return { answer, calls: calls.length }
}

/**
 * The first actor acts, and before its call number `at` the second actor acts to its end. Then everything
 * settles, and every guarantee is checked. @returns the calls of the first actor.
 */
export async function meet(
  scene: Scene,
  first: Actor,
  second: Actor,
  at: number,
  functions: Purchases = purchases,
): Promise<string[]> {
  const world = await enter(scene, functions)
  const before = new Set(books(world).purchases.map(({ id }) => id))
  const openBefore = Object.values(world.stripe.state.paymentIntents).filter(isOpenIntent)
  let begun: Set<string> | undefined
  let unpaid: string[] = []
  let hasMet = false
  let asksAfterBlock = false
  const asked = () => Object.keys(world.stripe.state.charges).length
  let askedBefore = 0
  /** Notes the renewals that had begun when the owner was answered that none begins any more. */
  const noteStop = ({ stops }: Actor) => {
    if (!stops || begun) return
    const { purchases } = books(world)
    begun = new Set(purchases.map(({ id }) => id))
    unpaid = purchases.filter(({ state }) => state === 'created').map(({ id }) => id)
  }
  const { ports, calls } = through(world.ports, {
    before: async (now) => {
      if (now !== at) return
      hasMet = true
      await second.act(world, world.ports)
      noteStop(second)
      askedBefore = asked()
      asksAfterBlock = calls.at(-1) === 'payments.confirmPayment'
    },
  })
  const answer = await first.act(world, ports)
  noteStop(first)
  const title = `${scene.title}: ${first.title}, and before call ${at} (${calls[at - 1]}) ${second.title}`
  checkAlways(world, title)
  if (first.closes || (second.closes && hasMet)) {
    const left = openBefore.map(({ id }) => world.stripe.state.paymentIntents[id]!).filter(isOpenIntent)
    assert.deepEqual(
      left.map(({ status }) => status),
      [],
      `${title}: a payment can still be charged`,
    )
  }
  if (second.harmless && first.same !== undefined && at > 0)
    assert.equal(answer, (await aloneIn(scene, first)).answer, `${title}: its answer`)
  const told = world.said.map(({ answer }) => answer).join(', ')
  await settle(world, `${title}, answered ${told}`)
  // A bank that is being asked at this moment may answer later.
  if (second.blocks && hasMet && !asksAfterBlock)
    assert.equal(asked(), askedBefore, `${title}: a bank was asked about a card that is blocked`)
  if (books(world).profile.status !== 'active') {
    await world.resume()
    await world.restore()
    await settle(world, `${title}, restored`)
  }
  if (begun) {
    const paid = books(world).purchases.filter(({ id, state }) => state === 'credited' && unpaid.includes(id))
    const isBuyer = [first, second].some((each) => each.title === 'buy')
    assert.equal(isBuyer ? 0 : paid.length, 0, `${title}: a renewal was charged though its owner forbade it`)
    const late = books(world).purchases.filter(({ id, kind }) => kind === 'renewal' && !begun?.has(id))
    assert.equal(late.length, 0, `${title}: a renewal began though its owner was answered that none does`)
  }
  if (first.same !== undefined && first.same === second.same && at > 0) {
    const { purchases: after } = books(world)
    const credits = after.filter(({ id, state }) => state === 'credited' && !before.has(id)).length
    assert.ok(credits <= 1, `${title}: ${credits} credits, answered ${told}`)
  }
  return calls
}

/**
 * Lets two actors meet at every call of the first one, or at each `stride`-th call from number `from` on.
 * @returns the number of runs, and the first line of each failure.
 */
async function meetAtEvery(
  scene: Scene,
  first: Actor,
  second: Actor,
  functions: Purchases,
  { from, stride } = { from: 1, stride: 1 },
): Promise<{ runs: number; failures: string[] }> {
  const failures: string[] = []
  let runs = 0
  // The first actor may make more calls because of what the second one did.
  let { calls } = await aloneIn(scene, first)
  for (let at = from; at <= calls; at += stride) {
    runs++
    await meet(scene, first, second, at, functions).then(
      (made) => {
        calls = Math.max(calls, made.length)
      },
      (error: Error) => {
        failures.push(String(error).split('\n')[0] ?? '')
      },
    )
  }
  return { runs, failures }
}

/** Lets two actors of a scene, named by title, meet at every call of the first. @returns the failures. */
export async function meetTwo(
  title: string,
  [first, second]: readonly [string, string],
  functions: Purchases = purchases,
): Promise<string[]> {
  const scene = scenes.find((each) => each.title === title)
  const named = (name: string) => scene?.actors.find((each) => each.title === name)
  const [one, other] = [named(first), named(second)]
  if (!scene || !one || !other)
    throw new Error(`No scene ${title} with actors ${first} and ${second}. Use titles of purchase-pairs.ts.`)
  return (await meetAtEvery(scene, one, other, functions)).failures
}

/** A run tries every third moment of a pair; the first moment differs from pair to pair. */
const STRIDE = 3

/**
 * Lets every pair of actors in a scene meet.
 * @returns the number of runs, and the first line of each failure.
 */
export async function meetAll(
  scene: Scene,
  functions: Purchases = purchases,
): Promise<{ runs: number; failures: string[] }> {
  const failures: string[] = []
  let runs = 0
  let pair = 0
  for (const first of scene.actors.filter(({ long }) => !long)) {
    for (const second of scene.actors) {
      const moments = EXHAUSTIVE ? { from: 1, stride: 1 } : { from: 1 + (pair++ % STRIDE), stride: STRIDE }
      const met = await meetAtEvery(scene, first, second, functions, moments)
      runs += met.runs
      failures.push(...met.failures)
    }
  }
  return { runs, failures }
}
