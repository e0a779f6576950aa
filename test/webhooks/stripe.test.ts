import type Stripe from 'stripe'
import { afterEach, describe, expect, expectTypeOf, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { eventTypes, type ObjectKind, subscribedEvents } from '../../core/webhooks/event-types.ts'
import { RAW_BODY_LIMIT } from '../../functions/http/body.ts'
import { webhooks } from '../../functions/webhooks/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { invoke } from '../conformance/event.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import {
  atStripe,
  bodyOf,
  cardOnFile,
  customerId,
  defaultCard,
  deliver,
  eventsAbout,
  expectNothingHeld,
  expectSameAsStripe,
  listed,
  newCard,
  newEvent,
  openHolds,
  post,
  signed,
  stripeOf,
  verify,
} from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
})

const MINUTE_MS = 60_000

function received(answer: TestAnswer): void {
  expect([answer.status, answer.body]).toEqual([200, { received: true }])
  expectContract(webhooks.stripe, answer)
}

const refused = (answer: TestAnswer) => expectError(webhooks.stripe, answer, 'webhook_refused')

interface Notice {
  messageType: string
  message: string
}

async function notices({ accessToken: token }: SignedInPerson): Promise<Notice[]> {
  return (await app.request('GET', '/api/users/current/notifications', { token })).body
}

/** Attaches a card at Stripe without delivering the event. @returns the card's id. */
async function attachedUnseen(person: SignedInPerson): Promise<string> {
  const card = await newCard(app, '5555555555554444')
  double.addFault({ fault: 'drop-webhooks' })
  await dashboard.paymentMethods.attach(card, { customer: (await customerId(app, person)) ?? '' })
  double.clearFaults()
  return card
}

const theEvent = async (objectId: string) => {
  const [event] = await eventsAbout(app, objectId)
  if (!event) throw new Error(`no event about ${objectId}`)
  return event
}

describe('the body is read as the received bytes', () => {
  test.each([
    'application/json; charset=utf-8',
    'application/json',
    'text/plain',
    // The gateway passes bodies of these types on as base64.
    'application/octet-stream',
    'application/vnd.stripe+json',
    'application/x-www-form-urlencoded',
  ])('200 {"received":true} for a body sent as %s', async (type) => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const card = await attachedUnseen(person)
    const body = bodyOf(await theEvent(card))
    received(await post(app, body, signed(body, double.webhookSecret), type))
    expect(await listed(app, person)).toContain(card)
  })

  test('200 for a Lambda event with the body as base64, 400 if the body is not base64', async () => {
    const body = bodyOf(
      newEvent('customer.updated', { id: 'cus_nobody', object: 'customer', name: 'Zoë 💳' }),
    )
    const headers = { 'stripe-signature': signed(body, double.webhookSecret) }
    const base64 = Buffer.from(body).toString('base64')
    const taken = await invoke(webhooks.stripe, { body: base64, isBase64Encoded: true, headers })
    expect(taken.statusCode).toBe(200)
    for (const [text, isBase64Encoded] of [
      [base64, false],
      [body, true],
      [`${base64}=`, true],
    ] as const) {
      const answer = await invoke(webhooks.stripe, { body: text, isBase64Encoded, headers })
      expect(answer.statusCode).toBe(400)
    }
  })

  test('200 for a body with every kind of character', async () => {
    const name = 'Zoë 💳 \u2028 \ud800 \\ " \u0000 שלום'
    received(await deliver(app, newEvent('customer.updated', { id: 'cus_nobody', object: 'customer', name })))
  })

  test('200 up to 1 MiB, 413 over it, 400 for none', async () => {
    const large = (more: number) => {
      const event = (name: string) =>
        bodyOf(newEvent('customer.updated', { id: 'x', object: 'customer', name }))
      return event('a'.repeat(RAW_BODY_LIMIT + more - event('').length))
    }
    const whole = large(0)
    expect(whole.length).toBe(RAW_BODY_LIMIT)
    received(await post(app, whole, signed(whole, double.webhookSecret)))
    const body = large(1)
    const tooLarge = await post(app, body, signed(body, double.webhookSecret))
    expectError(webhooks.stripe, tooLarge, 'payload_too_large')
    expect(tooLarge.body.detail).toBe('The body is larger than 1024 KiB.')
    refused(await post(app, '', signed('', double.webhookSecret)))
  })

  test.each(['[]', 'null', '"x"', '1', '{}', '{"data":{}}', '{"id":"evt_1","data":null}', '{', 'x'])(
    'a signed %s is not an event: 400, and nothing is read',
    async (body) => {
      app.resetCalls()
      refused(await post(app, body, signed(body, double.webhookSecret)))
      expect([app.calls().dynamodb, app.calls().stripe]).toEqual([{}, {}])
    },
  )
})

describe('the content of an event is not trusted but read again from Stripe', () => {
  test('an event with a wrong card number, owner or state leaves the account as Stripe has it', async () => {
    const person = await app.signUp()
    const card = await cardOnFile(app, person)
    const other = await app.signUp()
    await cardOnFile(app, other)
    const claim = {
      id: card,
      object: 'payment_method',
      customer: await customerId(app, other),
      card: { last4: '0000', exp_year: 2099 },
    }
    for (const type of ['payment_method.attached', 'payment_method.updated', 'payment_method.detached']) {
      received(await deliver(app, newEvent(type, claim)))
    }
    const previous = {
      data: { object: claim, previous_attributes: { customer: await customerId(app, other) } },
    }
    received(await deliver(app, newEvent('payment_method.detached', claim, previous)))
    expect(await listed(app, person)).toEqual([card])
    await expectSameAsStripe(app, person)
    await expectSameAsStripe(app, other)
  })

  test('an event that wrongly says that a payment succeeded puts nothing on file', async () => {
    const person = await app.signUp()
    await verify(app, person, 'pm_card_authenticationRequired')
    const [intent] = (await atStripe(app, person)).intents
    for (const type of ['payment_intent.amount_capturable_updated', 'payment_intent.succeeded']) {
      received(await deliver(app, newEvent(type, { ...intent, status: 'requires_capture' })))
    }
    expect(await listed(app, person)).toEqual([])
    expect(await openHolds(app, person)).toHaveLength(1)
  })
})

describe('cards', () => {
  test.each(['attached', 'updated', 'automatically_updated'])(
    'payment_method.%s stores the card as Stripe has it now',
    async (kind) => {
      const person = await app.signUp()
      await cardOnFile(app, person)
      const card = await attachedUnseen(person)
      received(await deliver(app, newEvent(`payment_method.${kind}`, { id: card, object: 'payment_method' })))
      await expectSameAsStripe(app, person)
    },
  )

  test('payment_method.detached removes the card, the customer’s event the default card', async () => {
    const person = await app.signUp()
    const card = await cardOnFile(app, person)
    await dashboard.paymentMethods.detach(card)
    await double.flushWebhooks()
    expect([await listed(app, person), await defaultCard(app, person)]).toEqual([[], null])
    await expectSameAsStripe(app, person)
  })

  test('a card that changes several times ends as Stripe has it, whichever event is last', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    const second = await attachedUnseen(person)
    double.addFault({ fault: 'drop-webhooks' })
    await dashboard.paymentMethods.update(second, { card: { exp_year: 2040 } })
    await dashboard.paymentMethods.detach(second)
    double.clearFaults()
    for (const event of await eventsAbout(app, second)) received(await deliver(app, event))
    expect(await listed(app, person)).toEqual([first])
    await expectSameAsStripe(app, person)
  })
})

describe('holds', () => {
  const holdParams = async (person: SignedInPerson, purchase: string) => ({
    amount: 100,
    currency: 'usd',
    customer: (await customerId(app, person)) ?? '',
    capture_method: 'manual' as const,
    confirm: true,
    payment_method: 'pm_card_visa',
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' as const },
    metadata: { account: person.accountId, purchase },
  })

  test('a hold without an open verification is released', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const stray = await dashboard.paymentIntents.create(await holdParams(person, `hold_${'a'.repeat(24)}`))
    expect(stray.status).toBe('requires_capture')
    await double.flushWebhooks()
    await expectNothingHeld(app, person)
  })

  test.each(['', 'hold_', 'hold_x', 'purchase_1', `hold_${'A'.repeat(24)}`])(
    'a payment that is not Bursar’s, by its metadata "%s", is not touched',
    async (purchase) => {
      const person = await app.signUp()
      await cardOnFile(app, person)
      const theirs = await dashboard.paymentIntents.create(await holdParams(person, purchase))
      await double.flushWebhooks()
      expect((await dashboard.paymentIntents.retrieve(theirs.id)).status).toBe('requires_capture')
    },
  )

  test('the event that its payment was created does not abandon a verification', async () => {
    const person = await app.signUp()
    const card = await newCard(app, '4242424242424242')
    double.addFault({ fault: '429', match: 'POST /v1/payment_intents/*/confirm' })
    expect((await verify(app, person, card)).status).toBe(503)
    double.clearFaults()
    const [intent] = (await atStripe(app, person)).intents
    received(await deliver(app, await theEvent(intent?.id ?? '')))
    expect((await dashboard.paymentIntents.retrieve(intent?.id ?? '')).status).toBe('requires_confirmation')
    expect((await verify(app, person, card)).status).toBe(200)
  })

  test('a verification whose hold the operator releases is abandoned', async () => {
    const person = await app.signUp()
    const card = await newCard(app, '4242424242424242')
    double.addFault({ fault: '500', code: 'after-commit', match: 'POST /v1/payment_intents/*/confirm' })
    double.addFault({ fault: 'drop-webhooks' })
    expect((await verify(app, person, card)).status).toBe(202)
    double.clearFaults()
    const [intent] = (await atStripe(app, person)).intents
    await dashboard.paymentIntents.cancel(intent?.id ?? '')
    await double.flushWebhooks()
    await expectNothingHeld(app, person)
    expect((await verify(app, person, card)).status).toBe(200)
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
  })

  test('a card detached before its hold is settled is not on file, and the hold is released', async () => {
    const person = await app.signUp()
    const card = await newCard(app, '4242424242424242')
    double.addFault({ fault: '500', code: 'after-commit', match: 'POST /v1/payment_intents/*/confirm' })
    expect((await verify(app, person, card)).status).toBe(202)
    double.clearFaults()
    await dashboard.paymentMethods.detach(card)
    await double.flushWebhooks()
    app.advance(MINUTE_MS)
    await app.job('sweep')
    await expectNothingHeld(app, person)
    expect(await listed(app, person)).toEqual([])
    await expectSameAsStripe(app, person)
  })
})

describe('early fraud warnings', () => {
  async function warnedAbout(person: SignedInPerson) {
    await dashboard.paymentIntents.create({
      amount: 2000,
      currency: 'usd',
      customer: (await customerId(app, person)) ?? '',
      confirm: true,
      payment_method: 'pm_card_createIssuerFraudRecord',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    })
  }

  test('the owner gets a notice, once', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    await warnedAbout(person)
    await double.flushWebhooks()
    const [warning] = (await dashboard.radar.earlyFraudWarnings.list({ limit: 1 })).data
    received(await deliver(app, await theEvent(warning?.id ?? '')))
    expect(await notices(person)).toMatchObject([
      { messageType: 'card_warning', message: expect.stringContaining('5423') },
    ])
  })

  test('a customer that is not Bursar’s causes no notice', async () => {
    const customer = await dashboard.customers.create({})
    await dashboard.paymentIntents.create({
      amount: 2000,
      currency: 'usd',
      customer: customer.id,
      confirm: true,
      payment_method: 'pm_card_createIssuerFraudRecord',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    })
    await double.flushWebhooks()
    expect(double.pendingWebhooks()).toBe(0)
  })
})

/** Stripe's events about a kind of object, from the types of its SDK for the API version in use. */
type AboutKind<E, K> = E extends { type: infer T; data: { object: { object: K } } } ? T : never

/** Events that are listed under the wrong kind of object; `npm run types` names them. */
type Misplaced = {
  [K in ObjectKind]: Exclude<(typeof eventTypes)[K][number], AboutKind<Stripe.Event, K>>
}[ObjectKind]

describe('the events that an endpoint subscribes to', () => {
  test('are events of Stripe, each listed once and under its kind of object', () => {
    expectTypeOf<Misplaced>().toEqualTypeOf<never>()
    expect(new Set(subscribedEvents).size).toBe(subscribedEvents.length)
  })

  const kinds = Object.entries(eventTypes).flatMap(([kind, types]) => types.map((type) => [type, kind]))

  test.each(kinds)(
    '%s is handled: its object is read again, and only if that is possible the event is recorded as done',
    async (type, kind) => {
      const event = newEvent(type, { id: 'xx_unknown', object: kind })
      // Bursar has no such customer or card. Of the others only the object says whose it is.
      const isForeign = kind === 'customer' || kind === 'payment_method'
      const answer = await deliver(app, event)
      if (isForeign) received(answer)
      else expectError(webhooks.stripe, answer, 'temporarily_unavailable')
      const done = await (await app.ports()).table.get(keys.event(`stripe:${event.id}`))
      expect(done !== undefined).toBe(isForeign)
    },
  )
})

describe('events of other applications', () => {
  test('customers, cards and payments of the same Stripe account: 200, and no account changes', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const before = await app.request('GET', '/api/users/current/retrieve', { token: person.accessToken })
    const customer = await dashboard.customers.create({ metadata: { account: person.accountId } })
    const card = await newCard(app, '4242424242424242')
    await dashboard.paymentMethods.attach(card, { customer: customer.id })
    await dashboard.customers.update(customer.id, { name: 'Not Ours' })
    await dashboard.customers.del(customer.id)
    await double.flushWebhooks()
    expect(double.pendingWebhooks()).toBe(0)
    const after = await app.request('GET', '/api/users/current/retrieve', { token: person.accessToken })
    expect(after.body).toEqual(before.body)
    await expectSameAsStripe(app, person)
  })

  test.each([
    ['payment_method.updated', { id: 'pm_1Unknown0000000000000', object: 'payment_method' }],
    ['payment_method.updated', { id: '../customers', object: 'payment_method' }],
    ['customer.deleted', { id: 'cus_unknown', object: 'customer' }],
    ['payment_method.updated', { object: 'payment_method' }],
    ['payment_method.updated', { id: 7, object: 'payment_method' }],
    ['payment_method.updated', {}],
  ])('200 for a %s about %j, which does not exist', async (type, object) => {
    received(await deliver(app, newEvent(type, object)))
  })
})

describe('2xx only when the work is done', () => {
  test('a fault of Stripe is a 503, and the event is handled when Stripe sends it again', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const card = await newCard(app, '5555555555554444')
    await dashboard.paymentMethods.attach(card, { customer: (await customerId(app, person)) ?? '' })
    double.addFault({ fault: '500', match: 'GET /v1/payment_methods' })
    const answer = await deliver(app, await theEvent(card))
    expectError(webhooks.stripe, answer, 'temporarily_unavailable')
    await double.flushWebhooks()
    expect(double.pendingWebhooks()).toBeGreaterThan(0)
    expect(await listed(app, person)).not.toContain(card)
    double.clearFaults()
    app.advance(MINUTE_MS)
    await double.flushWebhooks()
    expect(double.pendingWebhooks()).toBe(0)
    await expectSameAsStripe(app, person)
  })

  test('an event is handled once: a repetition is one read of the table and no call to Stripe', async () => {
    const person = await app.signUp()
    const card = await cardOnFile(app, person)
    const event = await theEvent(card)
    app.resetCalls()
    received(await deliver(app, event))
    expect([app.calls().dynamodb, app.calls().stripe]).toEqual([{ GetItem: 1 }, {}])
  })
})

describe('any order', () => {
  test.each(['reorder-webhooks', 'duplicate-webhooks'] as const)(
    'with %s each account ends as Stripe has it',
    async (fault) => {
      double.addFault({ fault })
      const person = await app.signUp()
      for (const alias of ['pm_card_visa', 'pm_card_mastercard']) {
        expect((await verify(app, person, alias)).status).toBe(200)
        app.advance(1000)
      }
      const [second = '', first = ''] = await listed(app, person)
      await dashboard.paymentMethods.update(first, { card: { exp_year: 2044 } })
      await app.request('DELETE', `/api/users/current/payment-method/${second}`, {
        token: person.accessToken,
      })
      await dashboard.customers.update((await customerId(app, person)) ?? '', { name: 'Twice' })
      await double.flushWebhooks()
      expect(double.pendingWebhooks()).toBe(0)
      expect([await listed(app, person), await defaultCard(app, person)]).toEqual([[first], first])
      await expectSameAsStripe(app, person)
      await expectNothingHeld(app, person)
    },
  )
})
