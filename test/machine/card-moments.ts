import { expect } from 'vitest'
import { deactivateAccount } from '../../core/account/deactivate.ts'
import type { Ports } from '../../core/ports.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { ALWAYS_3DS, DECLINED, type Flow, flows, GOOD, OTHER } from './card-flows.ts'
import {
  type Answer,
  answerOf,
  type Cards,
  type CardWorld,
  cards,
  DAY_MS,
  expectSettled,
  expectUsable,
  interrupted,
  listed,
  MINUTE_MS,
  openCardWorld,
} from './card-world.ts'
import { Crash, WHOLE_RUN } from './faults.ts'

/** Delivers all events and runs the sweep until nothing is under way. */
export async function settle(world: CardWorld, title: string): Promise<void> {
  for (let rounds = 0; rounds < 2; rounds++) {
    expect(await world.deliver(), `${title}: events refused`).toBe(0)
    world.advance(2 * MINUTE_MS)
    await world.sweep()
  }
}

/** The customer completes 3-D Secure for every payment that waits for it. */
export async function authenticate(world: CardWorld, outcome: 'succeed' | 'fail' = 'succeed'): Promise<void> {
  for (const { id, status } of (await world.atStripe()).payments) {
    if (status === 'requires_action') world.double.authenticate({ paymentIntent: id, outcome })
  }
}

/** No flow uses this number: the same number again would be the same card, and replace its older entry. */
const ANOTHER = '4000056655665556'

/** Types the number of a card again, which makes another payment method. @returns its id. */
async function typedAgain(world: CardWorld, cardId: string): Promise<string> {
  const { card } = await world.operator.paymentMethods.retrieve(cardId)
  const number = [GOOD, OTHER, DECLINED, ALWAYS_3DS].find((each) => each.endsWith(card?.last4 ?? 'none'))
  if (number === undefined) throw new Error(`no number ends in ${card?.last4}`)
  return world.newCard(number)
}

/** How many cards on file have the number of this card. */
async function entriesOf(world: CardWorld, cardId: string): Promise<number> {
  const { card } = await world.operator.paymentMethods.retrieve(cardId)
  const { cards: onFile } = await world.stored()
  return onFile.filter(({ fingerprint }) => fingerprint === card?.fingerprint).length
}

/** Something that may happen between any two calls of a request. */
export interface Meanwhile {
  title: string
  /** @returns the answer, if the interruption is a request. */
  act(world: CardWorld, cardId: string): Promise<Answer | undefined>
  /** The interruption removes the flow's card on purpose. */
  takesAway?: true
  /** The interruption may put another entry of the flow's card on file, which replaces the older entry. */
  replaces?: true
  /** The flow must end as it does without an interruption. */
  harmless?: true
}

export const meanwhiles: Meanwhile[] = [
  {
    title: 'every event is delivered, including types without a subscription',
    act: async (world) => {
      for (const event of await world.events()) await world.receive(event)
      return undefined
    },
    harmless: true,
  },
  { title: 'the same request is repeated', act: (world, cardId) => world.verify(cardId) },
  { title: 'another card is verified', act: async (world) => world.verify(await world.newCard(ANOTHER)) },
  {
    title: 'another card is verified, and its events come',
    act: async (world) => {
      const answer = await world.verify(await world.newCard(ANOTHER))
      await world.deliver()
      return answer
    },
  },
  {
    title: 'after a minute the sweep runs',
    act: async (world) => {
      world.advance(MINUTE_MS)
      await world.sweep()
      return undefined
    },
  },
  {
    title: 'after a minute another card is verified',
    act: async (world) => {
      world.advance(MINUTE_MS)
      return world.verify(await world.newCard(ANOTHER))
    },
  },
  {
    title: 'the same number is typed again and verified',
    act: async (world, cardId) => world.verify(await typedAgain(world, cardId)),
    replaces: true,
  },
  {
    title: 'the same number is typed again and verified, and its events come',
    act: async (world, cardId) => {
      const answer = await world.verify(await typedAgain(world, cardId))
      await world.deliver()
      return answer
    },
    replaces: true,
  },
  { title: 'the card is removed', act: (world, cardId) => world.remove(cardId), takesAway: true },
  {
    title: 'the card is removed, and Stripe does not answer',
    act: async (world, cardId) => {
      world.double.addFault({ fault: '429', match: `POST /v1/payment_methods/${cardId}/detach`, times: 1 })
      return world.remove(cardId).finally(() => world.double.clearFaults())
    },
    takesAway: true,
  },
  {
    title: 'the operator detaches the card',
    act: async (world, cardId) => {
      await world.operator.paymentMethods.detach(cardId).catch(() => {})
      await world.deliver()
      return undefined
    },
    takesAway: true,
  },
  {
    title: 'the operator detaches the card, and only that event is delivered',
    act: async (world, cardId) => {
      await world.operator.paymentMethods.detach(cardId).catch(() => {})
      for (const event of await world.events()) {
        if (event.type === 'payment_method.detached') await world.receive(event)
      }
      return undefined
    },
    takesAway: true,
  },
  {
    title: 'the operator deletes the customer',
    act: async (world) => {
      for (const { id } of (await world.atStripe()).customers) await world.operator.customers.del(id)
      await world.deliver()
      return undefined
    },
    takesAway: true,
  },
  {
    title: 'the account is deactivated',
    act: async (world) => answerOf(deactivateAccount(world.ports, await world.account())),
  },
]

/**
 * Plays a flow with an interruption before its call number `at`, and checks every guarantee.
 * @returns the number of calls that the flow makes.
 */
export async function playWith(
  flow: Flow,
  meanwhile: Meanwhile,
  at: number,
  functions: Cards = cards,
): Promise<number> {
  const world = await openCardWorld({}, functions)
  try {
    const cardId = await flow.prepare(world)
    let between: Answer | undefined
    const request = interrupted(world.ports, at, async () => {
      between = await meanwhile.act(world, cardId)
    })
    const answer = await world[flow.kind](cardId, request.ports)
    const title = `${flow.title}, before call ${at} (${request.calls[at - 1]}) ${meanwhile.title}, answered ${answer} and ${between}`
    if (flow.customer) await authenticate(world, flow.customer)
    await settle(world, title)
    const isListed = (await listed(world)).includes(cardId)
    const twice = flow.kind === 'verify' && meanwhile.title === 'the same request is repeated'
    const told = twice ? [answer, between] : [answer]
    if (meanwhile.harmless) expect(answer, title).toBe(flow.answer)
    if (meanwhile.takesAway && between === 'done') expect(isListed, title).toBe(false)
    if (meanwhile.replaces) {
      const isProved = flow.kind !== 'remove' && (answer === 'proved' || between === 'proved')
      if (isProved) expect(await entriesOf(world, cardId), title).toBe(1)
    } else if (told.includes('proved') && !meanwhile.takesAway) expect(isListed, title).toBe(true)
    if (told.every((each) => each === 'card_declined'))
      expect(isListed && flow !== flows.againSecond, title).toBe(false)
    if (!flow.listed && flow.kind === 'verify') expect(isListed, title).toBe(false)
    // A card that was detached before its payment was made cannot be used any more.
    if (answer === 'invalid_payment_method')
      expect([meanwhile.takesAway, meanwhile.replaces], title).toContain(true)
    else
      expect(String(answer), title).toMatch(
        /^(proved|done|pending|card_declined|card_pending|payment_action_required|account_deactivated|temporarily_unavailable|conflict|not_found|card_in_use|card_changed_recently)$/,
      )
    await expectSettled(world, title)
    await world.ports.table.update(keys.profile(world.accountId), expr`SET #status = ${'active'}`)
    if (meanwhile.takesAway || at === 0) await expectUsable(world, title)
    return request.calls.length
  } finally {
    await world.close()
  }
}

/** Changes that Stripe may make while an event about the same object is processed. */
const CHANGES = [
  (world: CardWorld, card: string) =>
    world.operator.paymentMethods.update(card, { card: { exp_year: 2040 } }),
  (world: CardWorld, card: string) => world.operator.paymentMethods.detach(card),
  (world: CardWorld, _: string, customer: string) =>
    world.operator.customers.update(customer, { phone: '2' }),
  (world: CardWorld, _: string, customer: string) => world.operator.customers.del(customer),
]

/**
 * Delivers an event about a card on file or its customer. Before call number `at` of that delivery, Stripe
 * changes the object again, and the second event is delivered completely. @returns how many calls the first
 * delivery makes.
 */
export async function overtake(
  prepare: (world: CardWorld) => Promise<string>,
  about: 'card' | 'customer',
  change: number,
  at: number,
  functions: Cards = cards,
): Promise<number> {
  const world = await openCardWorld({}, functions)
  try {
    const card = await prepare(world)
    const [customer] = (await world.atStripe()).customers
    const known = (await world.events()).length
    if (about === 'card') await world.operator.paymentMethods.update(card, { card: { exp_year: 2039 } })
    else await world.operator.customers.update(customer?.id ?? '', { phone: '1' })
    const [event] = (await world.events()).slice(known)
    await world.loseEvents()
    const delivery = interrupted(world.ports, at, async () => {
      await CHANGES[change]?.(world, card, customer?.id ?? '')
      await world.deliver()
    })
    if (event) await world.receive(event, delivery.ports)
    await expectSettled(world, `event about the ${about}, overtaken before call ${at} by change ${change}`)
    return delivery.calls.length
  } finally {
    await world.close()
  }
}

export const changeCount = CHANGES.length

/** The process crashes as soon as Stripe has confirmed the payment. */
const crashingOnceConfirmed = (ports: Ports): Ports => ({
  ...ports,
  payments: {
    ...ports.payments,
    confirmPayment: async (...args) => {
      await ports.payments.confirmPayment(...args)
      throw new Crash()
    },
  },
})

/**
 * Abandons a verification whose request broke off before it confirmed the payment. Before call number `at` of
 * that work the request comes back, confirms the payment and crashes. No event is delivered.
 * @returns how many calls abandoning the verification makes.
 */
export async function confirmMeanwhile(
  by: 'sweep' | 'another card',
  at: number,
  functions: Cards = cards,
): Promise<number> {
  const world = await openCardWorld({}, functions)
  try {
    const card = await world.newCard(GOOD)
    world.double.addFault({ fault: '429', match: 'POST /v1/payment_intents/*/confirm' })
    expect(await world.verify(card)).toBe('temporarily_unavailable')
    world.double.clearFaults()
    world.advance(MINUTE_MS)
    const given = interrupted(world.ports, at, () => world.verify(card, crashingOnceConfirmed(world.ports)))
    if (by === 'sweep') await world.functions.sweepHolds(given.ports, WHOLE_RUN)
    else await world.verify(await world.newCard(OTHER), given.ports)
    for (let rounds = 0; rounds < 2; rounds++) {
      world.advance(DAY_MS)
      await world.sweep()
    }
    await expectSettled(world, `given up by ${by}, confirmed before call ${at} (${given.calls[at - 1]})`)
    return given.calls.length
  } finally {
    await world.close()
  }
}

/** Ten concurrent verifications of one card make one hold. */
export async function tenAtOnce(functions: Cards = cards): Promise<void> {
  const world = await openCardWorld({}, functions)
  try {
    const card = await world.newCard(GOOD)
    const answers = await Promise.all(Array.from({ length: 10 }, () => world.verify(card)))
    expect(answers).toContain('proved')
    expect(answers.filter((answer) => !['proved', 'pending', 'card_pending'].includes(answer))).toEqual([])
    expect((await world.atStripe()).payments).toHaveLength(1)
    await settle(world, 'ten at once')
    expect(await listed(world)).toEqual([card])
    await expectSettled(world, 'ten at once')
    await expectUsable(world, 'ten at once')
  } finally {
    await world.close()
  }
}
