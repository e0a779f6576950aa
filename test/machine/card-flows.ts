import type Stripe from 'stripe'
import { expect } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import type { Fault } from '../local/stripe/faults.ts'
import {
  ADDRESS,
  type Answer,
  type Cards,
  type CardWorld,
  cards,
  DAY_MS,
  expectSettled,
  expectUsable,
  listed,
  MINUTE_MS,
  openCardWorld,
} from './card-world.ts'
import { type Break, breaking } from './faults.ts'
import { misuseElsewhere } from './misused.ts'

export const GOOD = '4242424242424242'
export const OTHER = '6011111111111117'
export const DECLINED = '4000000000000002'
export const ALWAYS_3DS = '4000002760003184'
const DECLINED_AFTER_3DS = '4000008400001629'

/** A client's request, and what its customer does afterwards. */
export interface Flow {
  title: string
  kind: 'verify' | 'change' | 'remove'
  /** @returns the id of the card that the request concerns. */
  prepare(world: CardWorld): Promise<string>
  /** The outcome of 3-D Secure; undefined if the customer abandons 3-D Secure or the flow has none. */
  customer?: 'succeed' | 'fail'
  /** The answer to the request when nothing breaks. */
  answer: Answer
  /** Whether the card is on file at the end, when nothing breaks. */
  listed: boolean
}

/** Puts a card on file and advances the clock by a day. */
export async function onFile(world: CardWorld, number = GOOD): Promise<string> {
  const card = await world.newCard(number)
  expect(await world.verify(card)).toBe('proved')
  expect(await world.deliver()).toBe(0)
  world.advance(DAY_MS)
  return card
}

const first = (number: string) => (world: CardWorld) => world.newCard(number)
const second = (number: string) => async (world: CardWorld) => {
  await onFile(world)
  return world.newCard(number)
}
const twoOnFile = async (world: CardWorld) => {
  const card = await onFile(world)
  await onFile(world, OTHER)
  return card
}

const by3ds = { kind: 'verify', answer: 'payment_action_required' } as const

export const flows = {
  first: { title: 'a first card', kind: 'verify', prepare: first(GOOD), answer: 'proved', listed: true },
  second: { title: 'a second card', kind: 'verify', prepare: second(OTHER), answer: 'proved', listed: true },
  byToken: {
    title: 'a first card by ConfirmationToken',
    kind: 'verify',
    prepare: (world) => world.newToken(GOOD),
    answer: 'proved',
    listed: true,
  },
  changeByToken: {
    title: 'a change by ConfirmationToken and 3-D Secure',
    ...by3ds,
    kind: 'change',
    prepare: async (world) => {
      await onFile(world)
      return world.newToken(ALWAYS_3DS)
    },
    customer: 'succeed',
    listed: true,
  },
  again: { title: 'a card on file, again', kind: 'verify', prepare: onFile, answer: 'proved', listed: true },
  againSecond: {
    title: 'a card on file that is not the default, again',
    kind: 'verify',
    prepare: async (world) => {
      await onFile(world)
      return onFile(world, OTHER)
    },
    answer: 'proved',
    listed: true,
  },
  declined: {
    title: 'a declined card',
    kind: 'verify',
    prepare: first(DECLINED),
    answer: 'card_declined',
    listed: false,
  },
  misused: {
    title: 'a card that another account has misused',
    kind: 'verify',
    prepare: async (world) => {
      const card = await world.newCard(GOOD)
      const { card: shown } = await world.operator.paymentMethods.retrieve(card)
      await misuseElsewhere(world.ports, shown?.fingerprint)
      return card
    },
    answer: 'card_declined',
    listed: false,
  },
  authenticated: {
    title: '3-D Secure that succeeds',
    ...by3ds,
    prepare: first(ALWAYS_3DS),
    customer: 'succeed',
    listed: true,
  },
  notAuthenticated: {
    title: '3-D Secure that fails',
    ...by3ds,
    prepare: first(ALWAYS_3DS),
    customer: 'fail',
    listed: false,
  },
  declinedThen: {
    title: '3-D Secure and then a decline',
    ...by3ds,
    prepare: first(DECLINED_AFTER_3DS),
    customer: 'succeed',
    listed: false,
  },
  abandoned: {
    title: '3-D Secure that is abandoned',
    ...by3ds,
    prepare: first(ALWAYS_3DS),
    listed: false,
  },
  change: {
    title: 'another card by change',
    kind: 'change',
    prepare: second(OTHER),
    answer: 'proved',
    listed: true,
  },
  changeBy3ds: {
    title: 'a change by 3-D Secure',
    ...by3ds,
    kind: 'change',
    prepare: second(ALWAYS_3DS),
    customer: 'succeed',
    listed: true,
  },
  removeDefault: {
    title: 'the default card removed',
    kind: 'remove',
    prepare: twoOnFile,
    answer: 'done',
    listed: false,
  },
  removeOnly: {
    title: 'the only card removed',
    kind: 'remove',
    prepare: onFile,
    answer: 'done',
    listed: false,
  },
} satisfies Record<string, Flow>

/**
 * What recovers a broken request.
 * - `webhooks`: events are delivered, and no sweep runs
 * - `sweep`: events are lost, and the sweep runs
 * - `both`: events are delivered, then the sweep runs
 * - `client`: the client retries its request until the answer is definite; events come later
 */
export const MODES = ['webhooks', 'sweep', 'both', 'client'] as const
export type Mode = (typeof MODES)[number]

export interface Trouble {
  name?: string
  /** Breaks the request. */
  point?: Break
  /** Breaks the first delivery of the request's events, or the first sweep after the request. */
  after?: Break
  /** A fault of Stripe while the request runs. */
  fault?: Fault
  functions?: Cards
}

/**
 * Plays a flow with the given trouble, lets it recover, and checks every guarantee.
 * @returns the port calls of the request, and those of the delivery or the sweep after the request.
 */
export async function play(
  flow: Flow,
  mode: Mode,
  { name = 'unbroken', point, after, fault, functions = cards }: Trouble = {},
): Promise<{ calls: string[]; callsAfter: string[] }> {
  const world = await openCardWorld(
    {},
    functions,
    fault?.delayMs === undefined ? undefined : fault.delayMs / 2,
  )
  const title = `${flow.title}, ${name}, recovered by ${mode}`
  try {
    const cardId = await flow.prepare(world)
    if (fault) world.double.addFault(fault)
    const request = breaking(world.ports, point)
    const answers = [await ask(world, flow, cardId, request.ports)]
    // The events so far arrive unbroken; only the delivery of the next ones breaks.
    if (after) await world.deliver()
    await authenticate(world, flow)
    const follower = breaking(world.ports, after)
    if (after && mode === 'webhooks') await world.deliver(follower.ports)
    if (after && mode === 'sweep') await lateSweep(world, follower.ports)
    world.double.clearFaults()
    if (mode === 'client') await askAgain(world, flow, cardId, answers)
    // A call that Stripe delayed takes effect after later calls, but before the sweep.
    if (fault?.fault === 'delay') {
      if (mode === 'webhooks') await world.deliver()
      await world.pass(fault.delayMs ?? 0)
    }
    await recover(world, flow, cardId, mode, answers, title)
    if (mode === 'webhooks' && (await isWithoutEvents(world))) {
      answers.push('pending')
      await recover(world, flow, cardId, flow.kind === 'remove' ? 'both' : 'client', answers, title)
    }
    if (!point && !after && !fault) expect(answers[0], title).toBe(flow.answer)
    await expectTrue(world, flow, cardId, answers, title)
    await expectSettled(world, title)
    if (mode === 'client') await expectUsable(world, title)
    return { calls: request.calls, callsAfter: follower.calls }
  } finally {
    await world.close()
  }
}

const ask = (world: CardWorld, flow: Flow, cardId: string, through: Ports): Promise<Answer> =>
  world[flow.kind](cardId, through)

/** The customer completes 3-D Secure for every payment that waits for it. */
async function authenticate(world: CardWorld, { customer: outcome }: Flow): Promise<void> {
  if (!outcome) return
  const { payments } = await world.atStripe()
  for (const { id, status } of payments) {
    if (status === 'requires_action') world.double.authenticate({ paymentIntent: id, outcome })
  }
}

/** Whether the client still lacks a definite answer. */
const isOpen = (answer = '') =>
  answer === 'pending' || answer === 'temporarily_unavailable' || answer.startsWith('Error')

async function askAgain(world: CardWorld, flow: Flow, cardId: string, answers: Answer[]): Promise<void> {
  for (let tries = 0; tries < 3 && isOpen(answers.at(-1)); tries++) {
    answers.push(await ask(world, flow, cardId, world.ports))
    await authenticate(world, flow)
    world.advance(MINUTE_MS)
  }
}

async function recover(
  world: CardWorld,
  flow: Flow,
  cardId: string,
  mode: Mode,
  answers: Answer[],
  title: string,
): Promise<void> {
  if (mode === 'client') await askAgain(world, flow, cardId, answers)
  if (mode === 'sweep') await world.loseEvents()
  else expect(await world.deliver(), `${title}: events refused`).toBe(0)
  if (mode === 'webhooks') return
  for (const waitMs of [2 * MINUTE_MS, DAY_MS]) {
    world.advance(waitMs)
    await world.sweep()
    if (mode === 'sweep') await world.loseEvents()
    else expect(await world.deliver(), `${title}: events refused`).toBe(0)
  }
}

async function lateSweep(world: CardWorld, through: Ports): Promise<void> {
  await world.loseEvents()
  world.advance(2 * MINUTE_MS)
  await world.sweep(through).catch(() => {})
}

/**
 * Whether Stripe has no event that could finish the request: the request broke before it confirmed its
 * payment or detached its card, or the customer abandoned 3-D Secure. Nothing is held then. The client's next
 * request resumes the work, or the sweep ends it.
 */
async function isWithoutEvents(world: CardWorld): Promise<boolean> {
  const { holds, removing } = await world.stored()
  if (removing.length > 0) return true
  const { payments } = await world.atStripe()
  const harmless = ['requires_confirmation', 'requires_action', 'canceled']
  // The payment of a token has no card until it is confirmed.
  const isIdle = ({ status, last_payment_error: declined }: Stripe.PaymentIntent) =>
    harmless.includes(status) || (status === 'requires_payment_method' && declined === null)
  return holds.length > 0 && payments.every(isIdle)
}

const defaultOf = async (world: CardWorld) => (await world.account()).customer?.defaultCardId

/** Asserts that the answers to the client are true. */
async function expectTrue(
  world: CardWorld,
  flow: Flow,
  asked: string,
  answers: Answer[],
  title: string,
): Promise<void> {
  const cardId = world.double.state.tokenCards[asked]?.method ?? asked
  const what = `${title}, answered ${answers.join(', ')}`
  const isListed = (await listed(world)).includes(cardId)
  const last = answers.at(-1) ?? ''
  if (flow.kind === 'remove') {
    const left = await listed(world)
    expect(left.length > 0, `${what}: a default card`).toBe((await defaultOf(world)) !== undefined)
    if (last === 'done' || last === 'not_found') expect(isListed, `${what}: on file`).toBe(false)
    return
  }
  if (!flow.listed) expect(isListed, `${what}: on file`).toBe(false)
  if (isListed) expect(await defaultOf(world), `${what}: the default card`).toBeDefined()
  if (answers.includes('proved')) expect(isListed, `${what}: on file`).toBe(true)
  const wasListed = flow === flows.again || flow === flows.againSecond
  if (last === 'card_declined' && !wasListed) expect(isListed, `${what}: on file`).toBe(false)
  // A repeated change is refused, because the card was changed less than 24 hours ago.
  const closed = isListed ? [...ANSWERS, 'card_changed_recently'] : ANSWERS
  for (const answer of answers) if (!isOpen(answer)) expect(closed, what).toContain(answer)
  if (flow.kind !== 'change') return
  const { address, cardChangedAtMs, customer } = await world.account()
  expect(customer?.defaultCardId === cardId, `${what}: the default card`).toBe(isListed)
  expect(cardChangedAtMs !== undefined, `${what}: the 24 hours have begun`).toBe(isListed)
  expect(address, `${what}: the address`).toEqual(isListed ? ADDRESS : undefined)
}

const ANSWERS = ['proved', 'card_declined', 'payment_action_required']

/**
 * Breaks to try for each mode of recovery. A crash before a call equals a crash after the previous call, and
 * most failed calls have the effect of a crash, so each mode tries only some kinds.
 */
const KINDS: Record<Mode, Break['kind'][]> = {
  webhooks: ['crash-after', 'error-before'],
  sweep: ['crash-after', 'error-before'],
  both: ['error-after'],
  client: ['error-before', 'error-after'],
}

export const breaksOf = (calls: readonly string[], mode: Mode): { point: Break; name: string }[] =>
  calls.flatMap((call, n) =>
    KINDS[mode].map((kind) => ({ point: { at: n + 1, kind }, name: `${kind} of call ${n + 1}, ${call}` })),
  )

/**
 * Runs `work` on each item, `lanes` at a time, because clients wait between retries.
 * @returns the first line of each failure.
 */
export async function failuresOf<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
  lanes = 4,
): Promise<string[]> {
  const left = [...items]
  const failures: string[] = []
  const lane = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) {
      await work(item).catch((error: Error) => failures.push(String(error).split('\n')[0] ?? ''))
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return failures
}
