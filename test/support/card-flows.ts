import { expect } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { type Break, breaking } from './faults.ts'
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
} from './stripe-state.ts'

export const GOOD = '4242424242424242'
export const OTHER = '6011111111111117'
export const DECLINED = '4000000000000002'
export const ALWAYS_3DS = '4000002760003184'
export const DECLINED_AFTER_3DS = '4000008400001629'

/** Something that a client asks for, and what its customer does then. */
export interface Flow {
  title: string
  /** @returns the card that it is about. */
  prepare(world: CardWorld): Promise<string>
  request(world: CardWorld, cardId: string, through: Ports): Promise<Answer>
  /** What the customer does about 3-D Secure; left out, nothing. */
  customer?: 'succeed' | 'fail'
  /** What it comes to when nothing breaks. */
  answer: Answer
  /** Whether the card is on file then. */
  listed: boolean
}

const verify: Flow['request'] = (world, cardId, through) => world.verify(cardId, through)
const change: Flow['request'] = (world, cardId, through) => world.change(cardId, through)
const remove: Flow['request'] = (world, cardId, through) => world.remove(cardId, through)

/** A card on file, and a day gone by. */
export async function onFile(world: CardWorld, number = GOOD): Promise<string> {
  const card = await world.newCard(number)
  expect(await world.verify(card)).toBe('proved')
  expect(await world.deliver()).toBe(0)
  world.advance(DAY_MS)
  return card
}

const fresh = (number: string) => (world: CardWorld) => world.newCard(number)
const second = (number: string) => async (world: CardWorld) => {
  await onFile(world)
  return world.newCard(number)
}

export const FLOWS: Flow[] = [
  { title: 'a first card', prepare: fresh(GOOD), request: verify, answer: 'proved', listed: true },
  { title: 'a second card', prepare: second(OTHER), request: verify, answer: 'proved', listed: true },
  { title: 'a card on file again', prepare: onFile, request: verify, answer: 'proved', listed: true },
  {
    title: 'a declined card',
    prepare: fresh(DECLINED),
    request: verify,
    answer: 'card_declined',
    listed: false,
  },
  {
    title: '3-D Secure that succeeds',
    prepare: fresh(ALWAYS_3DS),
    request: verify,
    customer: 'succeed',
    answer: 'payment_action_required',
    listed: true,
  },
  {
    title: '3-D Secure that fails',
    prepare: fresh(ALWAYS_3DS),
    request: verify,
    customer: 'fail',
    answer: 'payment_action_required',
    listed: false,
  },
  {
    title: '3-D Secure, then a decline',
    prepare: fresh(DECLINED_AFTER_3DS),
    request: verify,
    customer: 'succeed',
    answer: 'payment_action_required',
    listed: false,
  },
  {
    title: '3-D Secure that is abandoned',
    prepare: fresh(ALWAYS_3DS),
    request: verify,
    answer: 'payment_action_required',
    listed: false,
  },
  {
    title: 'another card by change',
    prepare: second(OTHER),
    request: change,
    answer: 'proved',
    listed: true,
  },
  {
    title: 'a change by 3-D Secure',
    prepare: second(ALWAYS_3DS),
    request: change,
    customer: 'succeed',
    answer: 'payment_action_required',
    listed: true,
  },
  {
    title: 'the default card removed',
    prepare: async (world) => {
      const first = await onFile(world)
      await onFile(world, OTHER)
      return first
    },
    request: remove,
    answer: 'done',
    listed: false,
  },
  { title: 'the only card removed', prepare: onFile, request: remove, answer: 'done', listed: false },
]

/**
 * What comes after the request was broken.
 * - `webhooks`: events are delivered, and nothing sweeps
 * - `sweep`: events are lost
 * - `both`
 * - `client`: it sends its request again until it is told what became of it; events come late
 */
export const MODES = ['webhooks', 'sweep', 'both', 'client'] as const
export type Mode = (typeof MODES)[number]

/** The client has no answer yet that it could act on. */
const open = (answer: Answer) =>
  ['pending', 'temporarily_unavailable'].includes(answer) || answer.startsWith('Error')

/** The customer does their part of 3-D Secure wherever a payment waits for it. */
async function authenticate(world: CardWorld, flow: Flow): Promise<void> {
  if (!flow.customer) return
  const { payments } = await world.atStripe()
  for (const { id, status } of payments) {
    if (status === 'requires_action') world.double.authenticate({ paymentIntent: id, outcome: flow.customer })
  }
}

async function recover(
  world: CardWorld,
  flow: Flow,
  cardId: string,
  mode: Mode,
  title: string,
): Promise<Answer[]> {
  const answers: Answer[] = []
  if (mode === 'client') {
    for (let tries = 0; tries < 3; tries++) {
      const answer = await flow.request(world, cardId, world.ports)
      answers.push(answer)
      if (answer === 'payment_action_required') await authenticate(world, flow)
      if (!open(answer)) break
      world.advance(MINUTE_MS)
    }
  }
  if (mode === 'sweep') await world.loseEvents()
  else expect(await world.deliver(), `${title}: events refused`).toBe(0)
  if (mode === 'sweep' || mode === 'both' || mode === 'client') {
    for (const waitMs of [2 * MINUTE_MS, 2 * MINUTE_MS, DAY_MS, 2 * MINUTE_MS]) {
      world.advance(waitMs)
      await world.sweep()
      if (mode === 'sweep') await world.loseEvents()
      else expect(await world.deliver(), `${title}: events refused`).toBe(0)
    }
  }
  return answers
}

/**
 * Where the webhook alone is no help there is no event to help with: the request was broken before its payment was
 * confirmed, or the customer never did their part. Nothing is held then; the client's next request goes on with it.
 */
async function unconfirmed(world: CardWorld): Promise<boolean> {
  const { holds } = await world.stored()
  if (holds.length === 0) return false
  const { payments } = await world.atStripe()
  return payments.every(({ status }) =>
    ['requires_confirmation', 'requires_action', 'canceled'].includes(status),
  )
}

/**
 * Plays a flow that is broken at one point, or by a fault that `arrange` puts up, lets it recover, and checks that
 * everything holds. @returns the port calls that the request made.
 */
export async function play(
  flow: Flow,
  mode: Mode,
  {
    point,
    breakWebhooks = false,
    arrange,
    name = 'unbroken',
    functions = cards,
  }: {
    point?: Break | undefined
    /** Break the deliveries after the request, not the request. */
    breakWebhooks?: boolean
    arrange?: (world: CardWorld) => void
    name?: string
    functions?: Cards
  } = {},
): Promise<string[]> {
  const world = await openCardWorld({}, functions)
  try {
    const title = `${flow.title}, ${name}, recovered by ${mode}`
    const cardId = await flow.prepare(world)
    arrange?.(world)
    const broken = breaking(world.ports, point)
    const answers = [await flow.request(world, cardId, breakWebhooks ? world.ports : broken.ports)]
    await authenticate(world, flow)
    if (breakWebhooks) await world.deliver(broken.ports)
    world.double.clearFaults()
    answers.push(...(await recover(world, flow, cardId, mode, title)))
    if (mode === 'webhooks' && (await unconfirmed(world))) {
      world.advance(flow.customer ? 0 : DAY_MS)
      answers.push(...(await recover(world, flow, cardId, flow.customer ? 'client' : 'both', title)))
    }
    await expectTrue(world, flow, cardId, answers, title)
    await expectSettled(world, title)
    await expectUsable(world, title)
    return broken.calls
  } finally {
    await world.close()
  }
}

/** That what was answered is true. */
async function expectTrue(
  world: CardWorld,
  flow: Flow,
  cardId: string,
  answers: Answer[],
  title: string,
): Promise<void> {
  const what = `${title}, answered ${answers.join(', ')}`
  const isListed = (await listed(world)).includes(cardId)
  const before = flow.title === 'a card on file again'
  if (!flow.listed) expect(isListed, `${what}: on file`).toBe(false)
  if (answers.includes('proved')) expect(isListed, `${what}: on file`).toBe(true)
  if (answers.at(-1) === 'card_declined' && !before) expect(isListed, `${what}: on file`).toBe(false)
  const known = ['proved', 'pending', 'card_declined', 'payment_action_required', 'temporarily_unavailable']
  for (const answer of answers) {
    if (flow.request !== remove && !answer.startsWith('Error')) expect(known, what).toContain(answer)
  }
  if (flow.request !== change) return
  const { address, cardChangedAtMs, customer } = await world.account()
  expect(customer?.defaultCardId === cardId, `${what}: the default card`).toBe(isListed)
  expect(cardChangedAtMs !== undefined, `${what}: the 24 hours have begun`).toBe(isListed)
  expect(address, `${what}: the address`).toEqual(isListed ? ADDRESS : undefined)
}

/** Every way to break a flow of so many calls; before a call is as good as after the one before it. */
export const breaksOf = (calls: number): Break[] =>
  Array.from({ length: calls }, (_, n) => n + 1).flatMap((at): Break[] => [
    ...(at === 1 ? [{ at, kind: 'crash-before' } as const] : []),
    { at, kind: 'crash-after' },
    { at, kind: 'error-before' },
    { at, kind: 'error-after' },
  ])
