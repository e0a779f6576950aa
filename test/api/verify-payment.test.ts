import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { api } from '../../functions/api/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import {
  atStripe,
  cardOnFile,
  customerId,
  defaultCard,
  expectNothingHeld,
  expectSameAsStripe,
  later,
  listed,
  newCard,
  openHolds,
  remove,
  stripeOf,
  VERIFY,
  verify,
} from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const CONFIRM = 'POST /v1/payment_intents/*/confirm'
const CANCEL = 'POST /v1/payment_intents/*/cancel'

const GOOD = '4242424242424242'
const ALWAYS_3DS = '4000002760003184'

/** The content of an answer without the time and the request's id. */
function comparable({ status, headers, text }: TestAnswer) {
  const { date, ratelimit, 'apigw-requestid': id = '', ...rest } = Object.fromEntries(headers)
  return { status, headers: rest, text: text.replaceAll(id, '<id>') }
}

const ok = ({ status, body }: TestAnswer) => expect([status, body]).toMatchObject([200, { status: 'ok' }])
const pending = ({ status, body }: TestAnswer) => expect([status, body]).toEqual([202, { status: 'pending' }])
const declined = (answer: TestAnswer) => expectError(api.verifyPayment, answer, 'card_declined')

/** Verifies a card that requires 3-D Secure. @returns the id of the waiting payment. */
async function challenged(person: SignedInPerson, card: string): Promise<string> {
  const answer = await verify(app, person, card)
  expectError(api.verifyPayment, answer, 'payment_action_required')
  const open = (await atStripe(app, person)).intents.filter(({ status }) => status === 'requires_action')
  expect(open.map(({ client_secret: secret }) => secret)).toEqual([answer.body.clientSecret])
  return open[0]?.id ?? ''
}

/**
 * Asserts that no card is on file here or at Stripe, that no money is held and that the next try is possible.
 */
async function expectNothingOnFile(person: SignedInPerson): Promise<void> {
  await expectNothingHeld(app, person)
  expect(await listed(app, person)).toEqual([])
  const { cards, defaultCard: theirs } = await atStripe(app, person)
  expect([cards, theirs, await defaultCard(app, person)]).toEqual([[], null, null])
}

describe('a card that works', () => {
  test('200 {"status":"ok"}: the card is on file and the default, and its hold is released', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    ok(await verify(app, person, card))
    await expectNothingHeld(app, person)
    expect(await listed(app, person)).toEqual([card])
    expect(await defaultCard(app, person)).toBe(card)
    await expectSameAsStripe(app, person)
    const [intent] = (await atStripe(app, person)).intents
    expect(intent).toMatchObject({
      amount: 100,
      currency: 'usd',
      capture_method: 'manual',
      setup_future_usage: 'off_session',
      payment_method: card,
    })
    await double.flushWebhooks()
    expect(await listed(app, person)).toEqual([card])
    await expectSameAsStripe(app, person)
  })

  test.each([
    '5555555555554444',
    '4000000000000259',
    '4000000000005423',
    '4000000000007726',
    '4000000000005126',
  ])('200 for %s', async (number) => {
    const person = await app.signUp()
    const card = await newCard(app, number)
    ok(await verify(app, person, card))
    await double.flushWebhooks()
    await expectNothingHeld(app, person)
    expect(await listed(app, person)).toEqual([card])
  })

  test('a second card is on file too, and the first one stays the default', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    app.advance(1000)
    const second = await newCard(app, '5555555555554444')
    ok(await verify(app, person, second))
    expect(await listed(app, person)).toEqual([second, first])
    expect(await defaultCard(app, person)).toBe(first)
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })

  test('the same card can be proved again and is listed once', async () => {
    const person = await app.signUp()
    const card = await cardOnFile(app, person)
    ok(await verify(app, person, card))
    expect(await listed(app, person)).toEqual([card])
    expect((await atStripe(app, person)).intents).toHaveLength(2)
    await expectNothingHeld(app, person)
  })

  test('Stripe has one customer, with the account’s address and name', async () => {
    const person = await app.signUp()
    const { accessToken: token } = person
    await app.request('PUT', '/api/users/current', { token, json: { name: 'Ada Lovelace' } })
    await cardOnFile(app, person)
    const first = await customerId(app, person)
    await cardOnFile(app, person, 'pm_card_mastercard')
    expect(await customerId(app, person)).toBe(first)
    const { data } = await dashboard.customers.list({ email: person.email })
    expect(data).toMatchObject([{ id: first, name: 'Ada Lovelace', metadata: { account: person.accountId } }])
  })

  test('GET /rest/users/{username} says type "card" from then on', async () => {
    const person = await app.signUp()
    const type = async () => {
      const { body } = await app.request('GET', `/rest/users/${person.username}`, {
        token: person.accessToken,
      })
      return body.content.type
    }
    expect(await type()).toBe('invoice')
    await cardOnFile(app, person)
    expect(await type()).toBe('card')
  })
})

describe('a card that does not work', () => {
  const cards = [
    ['4000000000000002', 'declined'],
    ['4000000000009995', 'without funds'],
    ['4000000000009987', 'lost'],
    ['4000000000009979', 'stolen'],
    ['4000000000000069', 'expired'],
    ['4000000000000127', 'with a wrong CVC'],
    ['4000000000000119', 'that the bank cannot process'],
    ['4000000000006975', 'used too often'],
    ['4000000000000341', 'that attaches and then fails'],
    ['4100000000000019', 'that Stripe blocks'],
  ] as const

  /** The content of a refusal; every test here expects the same. */
  let refusal: unknown
  const declinedAsAll = (answer: TestAnswer) => {
    declined(answer)
    refusal ??= comparable(answer)
    expect(comparable(answer)).toEqual(refusal)
  }

  test.each(cards)(
    '402 for %s, a card %s: nothing is on file, and the answer does not reveal the reason',
    async (number) => {
      const person = await app.signUp()
      declinedAsAll(await verify(app, person, await newCard(app, number)))
      await double.flushWebhooks()
      await expectNothingOnFile(person)
    },
  )

  test('400 for ids that name no card of the caller: unknown, another customer’s, detached; the same answer, and no try', async () => {
    const other = await app.signUp()
    const theirs = await cardOnFile(app, other)
    let person = await app.signUp()
    const detached = await cardOnFile(app, person)
    expect((await remove(app, person, detached)).status).toBe(204)
    person = await later(app, person, HOUR_MS)
    for (const id of ['pm_1Unknown0000000000000', theirs, detached]) {
      expectError(api.verifyPayment, await verify(app, person, id), 'invalid_payment_method')
      await expectNothingOnFile(person)
    }
    const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
    expect(profile?.cardTriesMs).toHaveLength(1)
    await double.flushWebhooks()
    const again = { ...other, ...(await app.login(other)) }
    expect(await listed(app, again)).toEqual([theirs])
    expect(await defaultCard(app, again)).toBe(theirs)
    await expectSameAsStripe(app, again)
  })

  test('does not block a good card afterwards', async () => {
    const person = await app.signUp()
    declined(await verify(app, person, await newCard(app, '4000000000000002')))
    const card = await newCard(app, GOOD)
    ok(await verify(app, person, card))
    expect(await defaultCard(app, person)).toBe(card)
  })

  test('stays on file if it was on file before', async () => {
    const person = await app.signUp()
    const card = await cardOnFile(app, person)
    double.addFault({ fault: 'decline', code: 'insufficient_funds', match: CONFIRM, times: 1 })
    declined(await verify(app, person, card))
    await double.flushWebhooks()
    expect(await listed(app, person)).toEqual([card])
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })
})

describe('3-D Secure', () => {
  test.each([ALWAYS_3DS, '4000002500003155', '4000003800000446'])(
    '402 payment_action_required for %s, and the webhook finishes after the customer has authenticated',
    async (number) => {
      const person = await app.signUp()
      const card = await newCard(app, number)
      const paymentIntent = await challenged(person, card)
      expect(await listed(app, person)).toEqual([])
      await double.flushWebhooks()
      expect(await listed(app, person)).toEqual([])
      double.authenticate({ paymentIntent, outcome: 'succeed' })
      expect(await listed(app, person)).toEqual([])
      await double.flushWebhooks()
      expect(await listed(app, person)).toEqual([card])
      expect(await defaultCard(app, person)).toBe(card)
      await expectSameAsStripe(app, person)
      await expectNothingHeld(app, person)
    },
  )

  test('the card is not on file if the customer fails 3-D Secure', async () => {
    const person = await app.signUp()
    const paymentIntent = await challenged(person, await newCard(app, ALWAYS_3DS))
    double.authenticate({ paymentIntent, outcome: 'fail' })
    await double.flushWebhooks()
    await expectNothingOnFile(person)
  })

  test.each(['4000008260003178', '4000008400001629'])(
    'the card %s, which the bank declines afterwards, is not on file',
    async (number) => {
      const person = await app.signUp()
      const paymentIntent = await challenged(person, await newCard(app, number))
      double.authenticate({ paymentIntent, outcome: 'succeed' })
      await double.flushWebhooks()
      await expectNothingOnFile(person)
    },
  )

  test('the same request resumes the open payment', async () => {
    const person = await app.signUp()
    const card = await newCard(app, ALWAYS_3DS)
    const [first, second] = [await challenged(person, card), await challenged(person, card)]
    expect(second).toBe(first)
    await double.flushWebhooks()
    expect((await atStripe(app, person)).intents).toHaveLength(1)
    // The repeated request does not count as another try.
    for (let tries = 0; tries < 3; tries++) expect(await challenged(person, card)).toBe(first)
  })

  test('the same request answers 200 after the customer has finished, even before the webhook', async () => {
    const person = await app.signUp()
    const card = await newCard(app, ALWAYS_3DS)
    double.authenticate({ paymentIntent: await challenged(person, card), outcome: 'succeed' })
    ok(await verify(app, person, card))
    expect(await listed(app, person)).toEqual([card])
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
    expect((await atStripe(app, person)).intents).toHaveLength(1)
  })

  test('another card ends the first verification, whose card can no longer come on file', async () => {
    const person = await app.signUp()
    const paymentIntent = await challenged(person, await newCard(app, ALWAYS_3DS))
    const card = await newCard(app, GOOD)
    ok(await verify(app, person, card))
    expect(() => double.authenticate({ paymentIntent, outcome: 'succeed' })).toThrow(/canceled/)
    await double.flushWebhooks()
    expect(await listed(app, person)).toEqual([card])
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })

  test('another card after the customer has finished the first leaves both on file', async () => {
    const person = await app.signUp()
    const first = await newCard(app, ALWAYS_3DS)
    double.authenticate({ paymentIntent: await challenged(person, first), outcome: 'succeed' })
    app.advance(1000)
    const second = await newCard(app, GOOD)
    const answer = await verify(app, person, second)
    ok(answer)
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })

  test('the sweep abandons an unfinished verification after a day', async () => {
    const person = await app.signUp()
    await challenged(person, await newCard(app, ALWAYS_3DS))
    await double.flushWebhooks()
    app.advance(24 * HOUR_MS - 1)
    await app.job('sweep')
    expect(await openHolds(app, person)).toHaveLength(1)
    app.advance(1 + MINUTE_MS)
    await app.job('sweep')
    await expectNothingOnFile({ ...person, ...(await app.login(person)) })
  })
})

describe('an unknown outcome', () => {
  const unknown = [
    ['a 500 before the call took effect', { fault: '500' }, false],
    ['a 500 after the call took effect', { fault: '500', code: 'after-commit' }, true],
  ] as const

  const breakConfirm = (fault: (typeof unknown)[number][1]) => double.addFault({ ...fault, match: CONFIRM })

  test.each(unknown)(
    '202 {"status":"pending"} for %s, and the webhook settles the verification',
    async (_, fault, done) => {
      const person = await app.signUp()
      const card = await newCard(app, GOOD)
      breakConfirm(fault)
      pending(await verify(app, person, card))
      expect(await listed(app, person)).toEqual([])
      double.clearFaults()
      await double.flushWebhooks()
      if (done) {
        expect(await listed(app, person)).toEqual([card])
        expect(await defaultCard(app, person)).toBe(card)
        await expectSameAsStripe(app, person)
        await expectNothingHeld(app, person)
      } else {
        // A call without effect causes no webhook.
        expect(await openHolds(app, person)).toHaveLength(1)
      }
    },
  )

  test.each(unknown)('%s: without a webhook the sweep settles the verification', async (_, fault, done) => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    double.addFault({ fault: 'drop-webhooks' })
    breakConfirm(fault)
    pending(await verify(app, person, card))
    double.clearFaults()
    app.advance(MINUTE_MS)
    await app.job('sweep')
    await expectNothingHeld(app, person)
    if (done) {
      expect(await listed(app, person)).toEqual([card])
      await expectSameAsStripe(app, person)
    } else await expectNothingOnFile(person)
  })

  test.each(unknown)('%s: a repeated request settles the verification', async (_, fault) => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    breakConfirm(fault)
    pending(await verify(app, person, card))
    double.clearFaults()
    ok(await verify(app, person, card))
    expect((await atStripe(app, person)).intents).toHaveLength(1)
    expect(await listed(app, person)).toEqual([card])
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })

  test('402 if the outcome turns out to be a decline', async () => {
    const person = await app.signUp()
    const card = await newCard(app, '4000000000000002')
    double.addFault({ fault: 'lose-reply-after-commit', match: CONFIRM })
    pending(await verify(app, person, card))
    double.clearFaults()
    declined(await verify(app, person, card))
    await expectNothingOnFile(person)
  })

  test('503 if Stripe is down before a hold is possible, and the same request succeeds later', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    for (const match of ['POST /v1/customers$', 'POST /v1/customers/*', 'POST /v1/payment_intents$']) {
      double.addFault({ fault: '500', match })
      expectError(api.verifyPayment, await verify(app, person, card), 'temporarily_unavailable')
      double.clearFaults()
    }
    ok(await verify(app, person, card))
    const { intents, cards } = await atStripe(app, person)
    expect(cards).toEqual([card])
    // A 500 may leave an unconfirmed payment, which cannot hold money.
    expect(intents.filter(({ latest_charge: charge }) => charge !== null)).toHaveLength(1)
    await expectNothingHeld(app, person)
  })

  test('200 despite a failed release, and the sweep releases the hold', async () => {
    await app.startAfresh()
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    double.addFault({ fault: '500', match: CANCEL })
    ok(await verify(app, person, card))
    expect(await listed(app, person)).toEqual([card])
    expect((await atStripe(app, person)).intents.map(({ status }) => status)).toEqual(['requires_capture'])
    app.advance(MINUTE_MS)
    await app.job('sweep')
    expect(await openHolds(app, person)).toHaveLength(1)
    double.clearFaults()
    app.advance(MINUTE_MS)
    expect(await app.job('sweep')).toMatchObject({ holdsEnded: 1 })
    await expectNothingHeld(app, person)
    await expectSameAsStripe(app, person)
  })
})

describe('limits against card testing', () => {
  /** Asserts that a try is refused without a call to Stripe, with this Retry-After in seconds. */
  async function expectRefused(person: SignedInPerson, seconds: number): Promise<void> {
    app.resetCalls()
    const answer = await verify(app, person, 'pm_card_mastercard')
    expectError(api.verifyPayment, answer, 'too_many_cards_tried')
    expect(answer.headers.get('retry-after')).toBe(String(seconds))
    expect(app.calls().stripe).toEqual({})
  }

  test('429 after 3 tries in an hour, whatever their outcome; a retry succeeds after Retry-After', async () => {
    let person = await app.signUp()
    for (const alias of ['pm_card_visa', 'pm_card_chargeDeclined', 'pm_card_chargeDeclinedProcessingError']) {
      await verify(app, person, alias)
      app.advance(4 * MINUTE_MS - 500)
    }
    await expectRefused(person, 48 * 60 + 2)
    // A refused request does not count as a try.
    await expectRefused(person, 48 * 60 + 2)
    person = await later(app, person, 48 * MINUTE_MS + 1499)
    await expectRefused(person, 1)
    app.advance(1)
    ok(await verify(app, person, 'pm_card_visa'))
    await expectRefused(person, 4 * 60)
  })

  test('429 after 10 tries in a day', async () => {
    let person = await app.signUp()
    for (let tries = 0; tries < 10; tries++) {
      declined(await verify(app, person, 'pm_card_chargeDeclined'))
      person = await later(app, person, HOUR_MS)
    }
    await expectRefused(person, 14 * 3600)
    person = await later(app, person, 14 * HOUR_MS)
    ok(await verify(app, person, 'pm_card_visa'))
    await expectRefused(person, 3600)
  })

  test('each account has its own limits', async () => {
    const [person, other] = [await app.signUp(), await app.signUp()]
    for (let tries = 0; tries < 3; tries++) await verify(app, person, 'pm_card_chargeDeclined')
    await expectRefused(person, 3600)
    ok(await verify(app, other, 'pm_card_visa'))
  })
})

describe('an invalid payment method', () => {
  let token: string
  beforeAll(async () => {
    token = (await app.signUp()).accessToken
  })

  test.each([
    [{}],
    [{ paymentMethod: '' }],
    [{ paymentMethod: 'pm_' }],
    [{ paymentMethod: 'card_1O9OCiA0ZUrt0vQJ7GqrPclY' }],
    [{ paymentMethod: 'cus_OxIokju2aarNVm' }],
    [{ paymentMethod: 'pm_x/../../customers/cus_1' }],
    [{ paymentMethod: 'pm_x?expand[]=customer' }],
    [{ paymentMethod: 'pm_x\n' }],
    [{ paymentMethod: ` ${'pm_card_visa'}` }],
    [{ paymentMethod: `pm_${'a'.repeat(101)}` }],
    [{ paymentMethod: ['pm_card_visa'] }],
    [{ paymentMethod: 'pm_card_visa', customer: 'cus_OxIokju2aarNVm' }],
    [{ paymentMethod: 'pm_card_visa', amount: 1 }],
  ])('400 for %j without a call to Stripe', async (json) => {
    app.resetCalls()
    expectError(api.verifyPayment, await app.request('POST', VERIFY, { token, json }), 'invalid_request')
    expect(app.calls().stripe).toEqual({})
  })
})

test('the profile keeps the times of the tries, and of the card only its id', async () => {
  const person = await app.signUp()
  await cardOnFile(app, person)
  const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
  // A random id may have these digits inside.
  expect(JSON.stringify(profile)).not.toMatch(/\b4242\b(?!-)|4242 ?4242|fingerprint|visa/)
})
