import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
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
  stripeOf,
  verify,
} from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const ADDRESS = {
  company: 'GreenCloud',
  street: 'Main st.',
  city: 'England',
  district: 'South district',
  postCode: 'YO31 8SB',
  country: 'GB',
}
const STORED = { default: true }

const change = (
  { accessToken: token }: SignedInPerson,
  paymentMethod: string,
  address: unknown = ADDRESS,
  path = '/v1/user/card',
): Promise<TestAnswer> => app.request('PUT', path, { token, json: { paymentMethod, address } })

function changed(answer: TestAnswer): void {
  expect([answer.status, answer.text]).toEqual([204, ''])
  expectContract(v1.changeCard, answer)
}

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.changeCard, answer, code)

async function user({ accessToken: token }: SignedInPerson) {
  return (await app.request('GET', '/v1/user', { token })).body
}

const shown = async (person: SignedInPerson) => (await user(person)).address

/** Gives the stored account a bundle, as a purchase does. */
async function giveBundle({ accountId }: SignedInPerson): Promise<void> {
  const { table } = await app.ports()
  await table.update(keys.profile(accountId), expr`SET #bundle = ${'DEVELOPER'}`)
}

async function markDeclined({ accountId }: SignedInPerson, cardId: string): Promise<void> {
  const { table } = await app.ports()
  await table.update(keys.card(accountId, cardId), expr`SET #declined = ${true}`)
}

describe('204', () => {
  test.each(['/v1/user/card', '/v1/user/card/'])(
    'PUT %s: the card is on file and the default, and its hold is released',
    async (path) => {
      const person = await app.signUp()
      const first = await cardOnFile(app, person)
      app.advance(1000)
      const second = await newCard(app, '5555555555554444')
      changed(await change(person, second, ADDRESS, path))
      expect(await defaultCard(app, person)).toBe(second)
      expect(await listed(app, person)).toEqual([second, first])
      await expectSameAsStripe(app, person)
      await expectNothingHeld(app, person)
      await double.flushWebhooks()
      expect(await defaultCard(app, person)).toBe(second)
      await expectSameAsStripe(app, person)
    },
  )

  test('for an account without a card', async () => {
    const person = await app.signUp()
    const card = await newCard(app, '4242424242424242')
    changed(await change(person, card))
    expect([await listed(app, person), await defaultCard(app, person)]).toEqual([[card], card])
    await expectSameAsStripe(app, person)
  })

  test('the address is stored, sent to Stripe, and shown by GET /v1/user with the country’s English name', async () => {
    const person = await app.signUp()
    expect(await shown(person)).toBeNull()
    changed(await change(person, 'pm_card_visa'))
    expect(await shown(person)).toEqual({ ...ADDRESS, country: 'United Kingdom' })
    const customer = await dashboard.customers.retrieve((await customerId(app, person)) ?? '')
    expect(customer.deleted || customer.address).toEqual({
      line1: 'Main st.',
      line2: 'GreenCloud',
      city: 'England',
      state: 'South district',
      postal_code: 'YO31 8SB',
      country: 'GB',
    })
  })

  test('company and district may be left out', async () => {
    const person = await app.signUp()
    const { company, district, ...short } = ADDRESS
    changed(await change(person, 'pm_card_visa', { ...short, country: 'AR' }))
    expect(await shown(person)).toEqual({ ...short, country: 'Argentina', company: '', district: '' })
  })

  test('a new address replaces the whole old one', async () => {
    let person = await app.signUp()
    changed(await change(person, 'pm_card_visa'))
    person = await later(app, person, DAY_MS)
    const { company, district, ...short } = ADDRESS
    changed(await change(person, 'pm_card_visa', { ...short, street: 'Calle 1', country: 'AR' }))
    expect(await shown(person)).toEqual({
      ...short,
      street: 'Calle 1',
      country: 'Argentina',
      company: '',
      district: '',
    })
  })

  test('{"default": true} keeps the stored address', async () => {
    let person = await app.signUp()
    changed(await change(person, 'pm_card_visa'))
    person = await later(app, person, DAY_MS)
    const card = await newCard(app, '5555555555554444')
    changed(await change(person, card, STORED))
    expect(await defaultCard(app, person)).toBe(card)
    expect(await shown(person)).toEqual({ ...ADDRESS, country: 'United Kingdom' })
  })
})

describe('the address', () => {
  /** A person whose requests in these tests are all refused. */
  let asking: SignedInPerson
  beforeAll(async () => {
    asking = await app.signUp()
  })
  const lines = ['street', 'city', 'postCode', 'company', 'district'] as const

  test.each([
    'Straße des 17. Juni 135 / Hof',
    'Þórsgata 1, 2. hæð',
    "O'Connell St, Rue de l’Église #12 (rear)",
    '東京都千代田区 1-1 שדרות नई दिल्ली',
    'خیابان علی\u200cآباد, ශ්\u200dරී 5',
    'a'.repeat(100),
  ])('accepts "%s" in every line', async (text) => {
    const person = await app.signUp()
    const all = Object.fromEntries(lines.map((name) => [name, text]))
    changed(await change(person, 'pm_card_visa', { ...all, country: 'GB' }))
    expect(await shown(person)).toEqual({ ...all, country: 'United Kingdom' })
  })

  test.each([
    ' ',
    '\u200c',
    '\u0301',
    'علی\u200c',
    '\u3164',
    'a'.repeat(101),
    'Main st.; DROP',
    '<b>Main</b>',
    'a@b.c',
    'Main\nst.',
    'Main\tst.',
    'Main\u0000',
    'Main\u200bst.',
    '\u202eMain',
    '50%',
    'a_b',
    '{{x}}',
    '🏠 1',
    '$HOME',
  ])('refuses %j in every line', async (text) => {
    app.resetCalls()
    for (const name of lines) {
      const answer = await change(asking, 'pm_card_visa', { ...ADDRESS, [name]: text })
      refused(answer, 'invalid_request')
    }
    expect(app.calls().stripe).toEqual({})
    expect(await shown(asking)).toBeNull()
  })

  test.each(['', 'gb', 'UK', 'XX', 'EU', 'ZZ', 'GBR', '826', 'United Kingdom', 'toString', '__proto__'])(
    'refuses the country "%s"',
    async (country) => {
      refused(await change(asking, 'pm_card_visa', { ...ADDRESS, country }), 'invalid_request')
    },
  )

  const without = (name: string) =>
    Object.fromEntries(Object.entries(ADDRESS).filter(([key]) => key !== name))

  test.each([
    ['without a street', without('street')],
    ['without a city', without('city')],
    ['without a post code', without('postCode')],
    ['without a country', without('country')],
    ['that is both complete and {"default": true}', { ...ADDRESS, default: true }],
    ['{"default": false}', { default: false }],
    ['{"default": "true"}', { default: 'true' }],
    ['{}', {}],
    ['null', null],
    ['with an extra field', { ...ADDRESS, state: 'x' }],
    ['with a quota', { default: true, quota: 1 }],
  ])('400 for an address %s', async (_, address) => {
    refused(await change(asking, 'pm_card_visa', address), 'invalid_request')
    expect(await shown(asking)).toBeNull()
  })

  test('409 for {"default": true} without a stored address, and without a call to Stripe', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    app.resetCalls()
    refused(await change(person, 'pm_card_mastercard', STORED), 'no_address')
    expect(app.calls().stripe).toEqual({})
  })

  test('is not stored if the card is declined', async () => {
    const person = await app.signUp()
    refused(await change(person, 'pm_card_chargeDeclined'), 'card_declined')
    expect(await shown(person)).toBeNull()
  })
})

describe('once in 24 hours', () => {
  test('429 with Retry-After within 24 hours of a change, and 204 afterwards', async () => {
    let person = await app.signUp()
    changed(await change(person, 'pm_card_visa'))
    const first = await defaultCard(app, person)
    app.resetCalls()
    const early = await change(person, 'pm_card_mastercard', STORED)
    refused(early, 'card_changed_recently')
    expect(early.headers.get('retry-after')).toBe(String(24 * 3600))
    expect(app.calls().stripe).toEqual({})
    person = await later(app, person, DAY_MS - 1)
    const late = await change(person, 'pm_card_mastercard', STORED)
    refused(late, 'card_changed_recently')
    expect(late.headers.get('retry-after')).toBe('1')
    expect(await defaultCard(app, person)).toBe(first)
    app.advance(1)
    changed(await change(person, 'pm_card_mastercard', STORED))
    expect(await defaultCard(app, person)).not.toBe(first)
  })

  test('a failed change does not start the 24 hours', async () => {
    const person = await app.signUp()
    refused(await change(person, 'pm_card_chargeDeclined'), 'card_declined')
    refused(await change(person, 'pm_1Unknown0000000000000'), 'invalid_payment_method')
    changed(await change(person, 'pm_card_visa'))
  })

  test('a change that waits for 3-D Secure starts the 24 hours once the webhook finishes it', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const card = await newCard(app, '4000002760003184')
    const challenge = await change(person, card)
    refused(challenge, 'payment_action_required')
    expect([(await defaultCard(app, person)) === card, await shown(person)]).toEqual([false, null])
    const [open] = (await atStripe(app, person)).intents
    expect(challenge.body.clientSecret).toBe(open?.client_secret)
    double.authenticate({ paymentIntent: open?.id ?? '', outcome: 'succeed' })
    await double.flushWebhooks()
    expect(await defaultCard(app, person)).toBe(card)
    expect(await shown(person)).toEqual({ ...ADDRESS, country: 'United Kingdom' })
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
    refused(await change(person, 'pm_card_visa', STORED), 'card_changed_recently')
  })

  test('a verification of a card does not start the 24 hours', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    changed(await change(person, 'pm_card_mastercard'))
    await cardOnFile(app, person)
  })

  test('an unknown outcome is 202, and starts the 24 hours once it is settled', async () => {
    let person = await app.signUp()
    await cardOnFile(app, person)
    const card = await newCard(app, '5555555555554444')
    double.addFault({ fault: '500', code: 'after-commit', match: 'POST /v1/payment_intents/*/confirm' })
    double.addFault({ fault: 'drop-webhooks' })
    const answer = await change(person, card)
    expect([answer.status, answer.body]).toEqual([202, { status: 'pending' }])
    expect(await defaultCard(app, person)).not.toBe(card)
    double.clearFaults()
    person = await later(app, person, HOUR_MS)
    await app.job('sweep')
    expect(await defaultCard(app, person)).toBe(card)
    await expectSameAsStripe(app, person)
    const early = await change(person, 'pm_card_visa', STORED)
    refused(early, 'card_changed_recently')
    expect(early.headers.get('retry-after')).toBe(String(24 * 3600))
  })
})

describe('only while auto-renewal is off or the card is declined', () => {
  test('409 with auto-renewal on and a card that works', async () => {
    const person = await app.signUp()
    const card = await cardOnFile(app, person)
    await giveBundle(person)
    app.resetCalls()
    refused(await change(person, 'pm_card_mastercard'), 'card_change_not_allowed')
    expect(app.calls().stripe).toEqual({})
    expect(await defaultCard(app, person)).toBe(card)
  })

  test('204 once auto-renewal is off', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    await giveBundle(person)
    const { accessToken: token } = person
    const json = { bundleAutoRenewal: false, lowQuotaNotification: true }
    await app.request('PUT', '/v1/user/flags', { token, json })
    changed(await change(person, 'pm_card_mastercard'))
  })

  test('204 once the default card is declined', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    await giveBundle(person)
    await markDeclined(person, first)
    const card = await newCard(app, '5555555555554444')
    changed(await change(person, card))
    expect(await defaultCard(app, person)).toBe(card)
    await expectSameAsStripe(app, person)
  })

  test('204 for the declined card itself, which then no longer counts as declined', async () => {
    let person = await app.signUp()
    const card = await cardOnFile(app, person)
    await giveBundle(person)
    await markDeclined(person, card)
    changed(await change(person, card))
    person = await later(app, person, DAY_MS)
    refused(await change(person, 'pm_card_mastercard', STORED), 'card_change_not_allowed')
  })

  test('409 if only a card other than the default one is declined', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const second = await cardOnFile(app, person, 'pm_card_mastercard')
    await giveBundle(person)
    await markDeclined(person, second)
    refused(await change(person, 'pm_card_amex'), 'card_change_not_allowed')
  })

  test('204 for an account without cards', async () => {
    const person = await app.signUp()
    await giveBundle(person)
    changed(await change(person, 'pm_card_visa'))
  })
})

describe('the rules of every verification', () => {
  test('402 for a declined card, and the previous card stays the default', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    refused(await change(person, 'pm_card_chargeDeclinedInsufficientFunds'), 'card_declined')
    await double.flushWebhooks()
    expect([await listed(app, person), await defaultCard(app, person)]).toEqual([[first], first])
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })

  test('400 for another customer’s card, which stays with that customer', async () => {
    const [person, other] = [await app.signUp(), await app.signUp()]
    const theirs = await cardOnFile(app, other)
    refused(await change(person, theirs), 'invalid_payment_method')
    await double.flushWebhooks()
    expect([await listed(app, person), await listed(app, other)]).toEqual([[], [theirs]])
    await expectSameAsStripe(app, other)
  })

  test('429 after 3 tries in an hour, including those of verify-payment', async () => {
    const person = await app.signUp()
    await verify(app, person, 'pm_card_chargeDeclined')
    await verify(app, person, 'pm_card_chargeDeclined')
    refused(await change(person, 'pm_card_chargeDeclined'), 'card_declined')
    const answer = await change(person, 'pm_card_visa')
    refused(answer, 'too_many_cards_tried')
    expect(answer.headers.get('retry-after')).toBe('3600')
  })

  test('an open verification of the same card does not count as a change of card', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    const card = await newCard(app, '4000002760003184')
    expect((await verify(app, person, card)).status).toBe(402)
    refused(await change(person, card), 'payment_action_required')
    const open = (await atStripe(app, person)).intents.filter(({ status }) => status === 'requires_action')
    expect(open).toHaveLength(1)
    double.authenticate({ paymentIntent: open[0]?.id ?? '', outcome: 'succeed' })
    await double.flushWebhooks()
    expect(await defaultCard(app, person)).toBe(card)
    expect(await listed(app, person)).toContain(first)
    await expectNothingHeld(app, person)
  })
})

test('a default card that was not yet set at Stripe does not overwrite a later one', async () => {
  const person = await app.signUp()
  double.addFault({ fault: '500', match: 'POST /v1/payment_intents/*/cancel' })
  expect((await verify(app, person, 'pm_card_visa')).status).toBe(200)
  double.clearFaults()
  app.advance(1000)
  const card = await newCard(app, '5555555555554444')
  changed(await change(person, card))
  expect(await defaultCard(app, person)).toBe(card)
  app.advance(60_000)
  await app.job('sweep')
  await double.flushWebhooks()
  expect(await defaultCard(app, person)).toBe(card)
  await expectSameAsStripe(app, person)
  await expectNothingHeld(app, person)
})
