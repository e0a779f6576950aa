import type Stripe from 'stripe'
import { describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { ALWAYS_3DS, type Flow, failuresOf, flows, GOOD, OTHER, onFile } from './card-flows.ts'
import {
  authenticate,
  changeCount,
  confirmMeanwhile,
  meanwhiles,
  overtake,
  playWith,
  settle,
  tenAtOnce,
} from './card-moments.ts'
import {
  type CardWorld,
  DAY_MS,
  expectSettled,
  expectUsable,
  listed,
  MINUTE_MS,
  openCardWorld,
} from './card-world.ts'

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

/** Runs `work` in a new world and closes the world afterwards. */
async function within(work: (world: CardWorld) => Promise<void>): Promise<void> {
  const world = await openCardWorld()
  await work(world).finally(() => world.close())
}

const defaultCard = async (world: CardWorld) => (await world.account()).customer?.defaultCardId

// --- Something else happens at every moment of a request ---

describe.each([
  flows.first,
  flows.againSecond,
  flows.declined,
  flows.authenticated,
  flows.change,
  flows.removeDefault,
])('$title, interrupted at every moment', (flow) => {
  test.each(meanwhiles)('$title', async (meanwhile) => {
    const calls = await playWith(flow, meanwhile, 0)
    const moments = Array.from({ length: calls }, (_, n) => n + 1)
    expect(await failuresOf(moments, (at) => playWith(flow, meanwhile, at))).toEqual([])
  })
})

describe.each(['sweep', 'another card'] as const)('a verification that is abandoned because of: %s', (by) => {
  test('while its request confirms it at any moment: the card is on file, or no money is held', async () => {
    const calls = await confirmMeanwhile(by, 0)
    const moments = Array.from({ length: calls }, (_, n) => n + 1)
    expect(await failuresOf(moments, (at) => confirmMeanwhile(by, at))).toEqual([])
  })
})

// --- Concurrent requests ---

describe('concurrent requests', () => {
  const many = <T>(n: number, work: (n: number) => Promise<T>) =>
    Promise.all(Array.from({ length: n }, (_, each) => work(each)))

  test('ten verifications of one card make one hold, and none is answered as declined', () => tenAtOnce())

  test('of five verified cards only the proved ones are on file, and the first one proved is the default', () =>
    within(async (world) => {
      const numbers = [GOOD, OTHER, '5555555555554444', '378282246310005', '4000056655665556']
      const asked = await many(5, (n) => world.newCard(numbers[n] ?? ''))
      const answers = await many(5, async (n) => world.verify(asked[n] ?? ''))
      expect(answers.filter((answer) => !['proved', 'card_pending'].includes(answer))).toEqual([])
      await settle(world, 'five cards')
      const proved = asked.filter((_, n) => answers[n] === 'proved')
      expect((await listed(world)).sort()).toEqual(proved.sort())
      expect(proved).toContain(await defaultCard(world))
      await expectSettled(world, 'five cards')
    }))

  test('of one number typed five times one entry is on file, and is the default', () =>
    within(async (world) => {
      const asked = await many(5, () => world.newCard(GOOD))
      const answers = await many(5, async (n) => world.verify(asked[n] ?? ''))
      expect(answers.filter((answer) => !['proved', 'card_pending'].includes(answer))).toEqual([])
      await settle(world, 'one number')
      expect(await listed(world)).toEqual([await defaultCard(world)])
      await expectSettled(world, 'one number')
    }))

  test('of five changes of card one succeeds', () =>
    within(async (world) => {
      await onFile(world)
      const asked = await many(5, () => world.newCard(OTHER))
      const answers = await many(5, async (n) => world.change(asked[n] ?? ''))
      await settle(world, 'five changes')
      const proved = asked.filter((_, n) => answers[n] === 'proved')
      expect(proved).toHaveLength(1)
      expect(proved).toEqual([await defaultCard(world)])
      await expectSettled(world, 'five changes')
    }))

  test('a verification and a removal of one card leave it on file both at Stripe and with us, or in neither', () =>
    within(async (world) => {
      await onFile(world)
      const card = await onFile(world, OTHER)
      await Promise.all([world.verify(card), world.remove(card)])
      await settle(world, 'verified and removed')
      await expectSettled(world, 'verified and removed')
      await expectUsable(world, 'verified and removed')
    }))

  test('the removal of both cards leaves no card and no default card', () =>
    within(async (world) => {
      const cards = [await onFile(world), await onFile(world, OTHER)]
      await many(2, async (n) => world.remove(cards[n] ?? ''))
      await settle(world, 'both removed')
      await expectSettled(world, 'both removed')
      for (const card of await listed(world)) expect(await world.remove(card)).toBe('done')
      await settle(world, 'both removed')
      expect([await listed(world), await defaultCard(world)]).toEqual([[], undefined])
    }))

  test('a hundred copies of each event are all accepted, and each event does its work once', () =>
    within(async (world) => {
      const card = await world.newCard(GOOD)
      expect(await world.verify(card)).toBe('proved')
      for (const event of await world.events()) await many(100, () => world.receive(event))
      await expectSettled(world, 'a hundred copies')
      expect(await listed(world)).toEqual([card])
    }))

  test('a hundred copies of an early fraud warning cause one notice', () =>
    within(async (world) => {
      const { operator } = world
      await onFile(world)
      const [customer] = (await world.atStripe()).customers
      await operator.paymentIntents.create({
        amount: 500,
        currency: 'usd',
        customer: customer?.id ?? '',
        payment_method: 'pm_card_createIssuerFraudRecord',
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        confirm: true,
      })
      const [warning] = (await world.events()).filter(({ type }) => type.startsWith('radar.'))
      await many(100, () => world.receive(warning as Stripe.Event))
      const notices = await world.ports.table.list(keys.account(world.accountId), 'NOTICE#')
      expect(notices.map(({ messageType }) => messageType)).toEqual(['card_warning'])
    }))
})

// --- Events in any order ---

/** The events of a flow after its request. */
async function eventsOf(world: CardWorld, flow: Flow): Promise<Stripe.Event[]> {
  const cardId = await flow.prepare(world)
  const before = new Set((await world.events()).map(({ id }) => id))
  expect(await world[flow.kind](cardId)).toBe(flow.answer)
  if (flow.customer) await authenticate(world, flow.customer)
  return (await world.events()).filter(({ id }) => !before.has(id))
}

describe.each([
  flows.first,
  flows.declined,
  flows.authenticated,
  flows.notAuthenticated,
  flows.changeBy3ds,
  flows.removeDefault,
])('$title: its events', (flow) => {
  test('lead to the same result with any two of them swapped', async () => {
    let count = 0
    await within(async (world) => {
      count = (await eventsOf(world, flow)).length
    })
    const pairs = Array.from({ length: count }, (_, a) => a).flatMap((a) =>
      Array.from({ length: count - a - 1 }, (_, n) => [a, a + n + 1] as const),
    )
    const failures = await failuresOf(pairs, ([a, b]) =>
      within(async (world) => {
        const events = await eventsOf(world, flow)
        const order = events.map((event, n) => events[n === a ? b : n === b ? a : n] ?? event)
        const title = `${flow.title}, ${order.map(({ type }) => type).join(' ')}`
        for (const event of order) await world.receive(event)
        await expectSettled(world, title)
        expect((await world.stored()).cards.length, title).toBeLessThanOrEqual(2)
      }),
    )
    expect(failures).toEqual([])
  })

  test('lead to the same result delivered backwards and twice', () =>
    within(async (world) => {
      const events = (await eventsOf(world, flow)).reverse()
      for (const event of [...events, ...events]) await world.receive(event)
      await expectSettled(world, flow.title)
      await expectUsable(world, flow.title)
    }))
})

describe.each(['card', 'customer'] as const)('an event about a %s', (about) => {
  test('does not undo a newer event that overtakes it at any moment', async () => {
    const failures: string[] = []
    for (let change = 0; change < changeCount; change++) {
      const calls = await overtake(onFile, about, change, 0)
      const moments = Array.from({ length: calls }, (_, n) => n + 1)
      failures.push(...(await failuresOf(moments, (at) => overtake(onFile, about, change, at))))
    }
    expect(failures).toEqual([])
  })
})

// --- The operator ---

interface Deed {
  title: string
  act(world: CardWorld, first: string, second: string, customer: string): Promise<unknown>
}

const deeds: Deed[] = [
  { title: 'detaches the default card', act: ({ operator }, first) => operator.paymentMethods.detach(first) },
  {
    title: 'detaches another card',
    act: ({ operator }, _, second) => operator.paymentMethods.detach(second),
  },
  {
    title: 'makes another card the default one',
    act: ({ operator }, _, second, customer) =>
      operator.customers.update(customer, { invoice_settings: { default_payment_method: second } }),
  },
  {
    title: 'edits the card and the customer',
    act: async ({ operator }, first, _, customer) => {
      await operator.paymentMethods.update(first, { card: { exp_year: 2035 } })
      await operator.customers.update(customer, { phone: '+49 30 1234', email: 'new@mail.example' })
    },
  },
  {
    title: 'attaches a card',
    act: async (world, _1, _2, customer) =>
      world.operator.paymentMethods.attach(await world.newCard('378282246310005'), { customer }),
  },
  {
    title: 'attaches a card and detaches it',
    act: async (world, _1, _2, customer) => {
      const card = await world.newCard('378282246310005')
      await world.operator.paymentMethods.attach(card, { customer })
      await world.operator.paymentMethods.detach(card)
    },
  },
  {
    title: 'deletes the customer',
    act: ({ operator }, _1, _2, customer) => operator.customers.del(customer),
  },
]

describe.each(deeds)('the operator $title', ({ title, act }) => {
  async function done(world: CardWorld): Promise<void> {
    const [first, second] = [await onFile(world), await onFile(world, OTHER)]
    const [customer] = (await world.atStripe()).customers
    await act(world, first, second, customer?.id ?? '')
  }

  test('our copy equals Stripe’s in whatever order the events come, and another card can be verified', async () => {
    for (const order of [(events: Stripe.Event[]) => events, (events: Stripe.Event[]) => events.reverse()]) {
      await within(async (world) => {
        await done(world)
        for (const event of order(await world.events())) await world.receive(event)
        await expectSettled(world, title)
        await expectUsable(world, title)
      })
    }
  })

  test('the sweep finds events that were never delivered, and processes each once', () =>
    within(async (world) => {
      await done(world)
      world.advance(MINUTE_MS)
      expect(await world.catchUp()).toMatchObject({ failed: 0 })
      await expectSettled(world, title)
      expect(await world.catchUp()).toEqual({ done: 0, failed: 0 })
    }))
})

// --- Former bugs and near misses ---

describe('a verification', () => {
  test('of a card that its owner is removing is refused, and the card is removed', () =>
    within(async (world) => {
      await onFile(world)
      const card = await onFile(world, OTHER)
      world.double.addFault({ fault: '500', match: 'POST /v1/payment_methods/*/detach' })
      expect(await world.remove(card)).toBe('done')
      world.double.clearFaults()
      expect(await world.verify(card)).toBe('card_declined')
      await settle(world, 'removing')
      expect(await listed(world)).not.toContain(card)
      await expectSettled(world, 'removing')
    }))

  test('that is proved while its release fails does not undo a later change of the default card', () =>
    within(async (world) => {
      world.double.addFault({ fault: '500', match: 'POST /v1/payment_intents/*/cancel' })
      expect(await world.verify(await world.newCard(GOOD))).toBe('proved')
      world.double.clearFaults()
      const changed = await world.newCard(OTHER)
      expect(await world.change(changed)).toBe('proved')
      await settle(world, 'changed')
      expect(await defaultCard(world)).toBe(changed)
      await expectSettled(world, 'changed')
    }))

  test('whose release fails is released by the webhook without a sweep', () =>
    within(async (world) => {
      world.double.addFault({ fault: '500', match: 'POST /v1/payment_intents/*/cancel' })
      const card = await world.newCard(GOOD)
      expect(await world.verify(card)).toBe('proved')
      expect(await world.deliver()).toBeGreaterThan(0)
      world.double.clearFaults()
      expect(await world.deliver()).toBe(0)
      await expectSettled(world, 'released')
    }))

  test('that broke off before its payment id was known is still abandoned by the sweep after a day', () =>
    within(async (world) => {
      world.double.addFault({ fault: 'lose-reply-after-commit', match: 'POST /v1/payment_intents$' })
      expect(await world.verify(await world.newCard(GOOD))).toBe('temporarily_unavailable')
      world.double.clearFaults()
      await world.loseEvents()
      world.advance(DAY_MS + MINUTE_MS)
      await world.sweep()
      await expectSettled(world, 'after a day')
      await expectUsable(world, 'after a day')
    }))

  test('that changes the card and is finished by 3-D Secure counts before another change begins', () =>
    within(async (world) => {
      await onFile(world)
      const [card, other] = [await world.newCard(ALWAYS_3DS), await world.newCard(OTHER)]
      expect(await world.change(card)).toBe('payment_action_required')
      await authenticate(world)
      expect(await world.change(other)).toBe('card_changed_recently')
      await settle(world, 'two changes')
      expect(await defaultCard(world)).toBe(card)
      await expectSettled(world, 'two changes')
    }))

  test('that is finished by 3-D Secure without an event is found by the sweep within minutes', () =>
    within(async (world) => {
      const card = await world.newCard(ALWAYS_3DS)
      await world.verify(card)
      await authenticate(world)
      await world.loseEvents()
      world.advance(2 * MINUTE_MS)
      await world.sweep()
      expect(await listed(world)).toEqual([card])
      await expectSettled(world, 'found')
    }))

  test('that broke off blocks another card for at most a minute', () =>
    within(async (world) => {
      world.double.addFault({ fault: '500', match: 'POST /v1/payment_intents$' })
      await world.verify(await world.newCard(GOOD))
      world.double.clearFaults()
      const other = await world.newCard(OTHER)
      expect(await world.verify(other)).toBe('card_pending')
      world.advance(MINUTE_MS)
      expect(await world.verify(other)).toBe('proved')
      await settle(world, 'waiting')
      await expectSettled(world, 'waiting')
    }))
})

test('a card that is not the default one can be removed while another is being verified', () =>
  within(async (world) => {
    await onFile(world)
    const card = await onFile(world, OTHER)
    await world.verify(await world.newCard(ALWAYS_3DS))
    expect(await world.remove(card)).toBe('done')
    await settle(world, 'removed')
    expect(await listed(world)).not.toContain(card)
  }))
