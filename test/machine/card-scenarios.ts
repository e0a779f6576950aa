import { expect } from 'vitest'
import { GOOD, OTHER, onFile } from './card-flows.ts'
import { settle } from './card-moments.ts'
import {
  answerOf,
  type Cards,
  type CardWorld,
  cards,
  expectSettled,
  listed,
  MINUTE_MS,
  openCardWorld,
} from './card-world.ts'

const HOUR_MS = 60 * MINUTE_MS

const STOLEN = '4000000000009979'

/** Plays a story in a world of its own, and checks every guarantee at its end. */
const inWorld =
  (title: string, story: (world: CardWorld) => Promise<void>) =>
  async (functions: Cards = cards): Promise<void> => {
    const world = await openCardWorld({}, functions)
    try {
      await story(world)
      await settle(world, title)
      await expectSettled(world, title)
    } finally {
      await world.close()
    }
  }

const charges = async (world: CardWorld): Promise<number> => (await world.atStripe()).charges.length

/** The same number, typed again, is one card: the newer entry, which becomes the default card. */
export const typedTwice = inWorld('typed twice', async (world) => {
  await onFile(world)
  const newer = await world.newCard(GOOD)
  expect(await world.verify(newer)).toBe('proved')
  await settle(world, 'typed twice')
  expect(await listed(world)).toEqual([newer])
  expect((await world.account()).customer?.defaultCardId).toBe(newer)
})

/**
 * A request that is repeated with its Idempotency-Key gets its answer, and makes no second hold. Only the key can
 * tell: too much time has passed for a repetition that would be recognised without one.
 */
export const sentTwice = inWorld('sent twice', async (world) => {
  const cardId = await world.newCard(GOOD)
  const send = async () =>
    answerOf(
      world.functions.proveCard(
        world.ports,
        await world.account(),
        { purpose: 'verify', cardId },
        { idempotencyKey: 'key-1' },
      ),
    )
  for (let times = 0; times < 3; times++) {
    expect(await send()).toBe('proved')
    await world.deliver()
    world.advance(HOUR_MS)
  }
  expect(await charges(world)).toBe(1)
})

/** A request that is sent again after a lost answer, without any key, makes no second hold. */
export const sentAgain = inWorld('sent again', async (world) => {
  const cardId = await world.newCard(GOOD)
  for (let times = 0; times < 3; times++) {
    expect(await world.verify(cardId)).toBe('proved')
    await world.deliver()
    world.advance(MINUTE_MS)
  }
  expect(await charges(world)).toBe(1)
})

/** After a decline for good no bank is asked about the number again, under whatever payment method. */
export const stolenTwice = inWorld('stolen', async (world) => {
  for (let times = 0; times < 3; times++)
    expect(await world.verify(await world.newCard(STOLEN))).toBe('card_declined')
  expect(await charges(world)).toBe(1)
})

/** A payment method that Stripe does not know is neither a decline nor a try. */
export const unknownCards = inWorld('unknown', async (world) => {
  for (let times = 0; times < 4; times++)
    expect(await world.verify('pm_1Unknown0000000000000')).toBe('invalid_payment_method')
  expect(await world.verify(await world.newCard(GOOD))).toBe('proved')
})

/** Another card takes the place of a default card that the operator detaches. */
export const detachedDefault = inWorld('detached', async (world) => {
  const first = await onFile(world)
  const second = await onFile(world, OTHER)
  await world.operator.paymentMethods.detach(first)
  await settle(world, 'detached')
  expect((await world.account()).customer?.defaultCardId).toBe(second)
})
