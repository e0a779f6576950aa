import { afterEach, describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  ADDRESS,
  ALWAYS_3DS,
  authenticate,
  customerOf,
  expectBooksAgree,
  expectNothingOpen,
  ledgerOf,
  paymentsOf,
  shown,
  signUpFor,
  waitingPayment,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import {
  atStripe,
  cardOnFile,
  defaultCard,
  expectSameAsStripe,
  listed,
  newCard,
  stripeOf,
} from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
})

const MINUTE_MS = 60_000
const GOOD = '4242424242424242'
const CONFIRM = 'POST /v1/payment_intents/*/confirm'

const signUp = (person: SignedInPerson, paymentMethod: string, name = 'STARTER', key?: string) =>
  signUpFor(app, person, name, paymentMethod, key)

function done(answer: TestAnswer): void {
  expect([answer.status, answer.text]).toEqual([204, ''])
  expectContract(v1.signUpForBundle, answer)
}

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.signUpForBundle, answer, code)

const bundleOf = async (person: SignedInPerson) => (await shown(app, person)).bundle

describe('204', () => {
  test.each([
    ['STARTER', 1_000, 0.99],
    ['DEVELOPER', 100_000, 9.99],
    ['ENTERPRISE', 1_000_000, 79.99],
  ])('%s: the price is charged, and %i units are added to those of the trial', async (name, units, price) => {
    const person = await app.signUp()
    done(await signUp(person, await newCard(app, GOOD), name))
    expect(await bundleOf(person)).toEqual({ name, quota: units + 100, price })
    expect((await paymentsOf(app, person)).map((each) => each.amount_received)).toEqual([
      Math.round(price * 100),
    ])
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('the card is on file, the default, and authorised for renewals', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    done(await signUp(person, card))
    expect([await listed(app, person), await defaultCard(app, person)]).toEqual([[card], card])
    await expectSameAsStripe(app, person)
    const [payment] = await paymentsOf(app, person)
    expect(payment?.setup_future_usage).toBe('off_session')
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
  })

  test('the address is stored, shown and sent to Stripe, and the account becomes a paying one', async () => {
    const person = await app.signUp()
    const { body: before } = await app.request('GET', `/rest/users/${person.username}`, {
      token: person.accessToken,
    })
    expect(before.content).toMatchObject({ role: 'free', type: 'invoice' })
    done(await signUp(person, 'pm_card_visa'))
    expect((await shown(app, person)).address).toEqual({ ...ADDRESS, country: 'United Kingdom' })
    const customer = await dashboard.customers.retrieve(await customerOf(app, person))
    expect(customer.deleted || customer.address).toMatchObject({ line1: 'Main st.', country: 'GB' })
    const { content } = await shown(app, person, `/rest/users/${person.username}`)
    expect(content).toMatchObject({ role: 'paid', type: 'card' })
  })

  test('a card that is on file can pay, and so can another card, which becomes the default', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    done(await signUp(person, first))
    expect(await listed(app, person)).toEqual([first])
    const other = await app.signUp()
    const old = await cardOnFile(app, other)
    const card = await newCard(app, '5555555555554444')
    done(await signUp(other, card))
    expect(await defaultCard(app, other)).toBe(card)
    expect([...(await listed(app, other))].sort()).toEqual([old, card].sort())
    await expectSameAsStripe(app, other)
  })

  test('two concurrent clicks and a third one shortly afterwards make one charge', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    double.addFault({ fault: 'delay', match: CONFIRM, delayMs: 300, times: 1 })
    for (const answer of await Promise.all([signUp(person, card), signUp(person, card)])) done(answer)
    app.advance(9_000)
    done(await signUp(person, card))
    expect(await paymentsOf(app, person)).toHaveLength(1)
    await expectBooksAgree(app, person)
  })

  test('the same Idempotency-Key gets the same answer, even if the account has a bundle by now', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    done(await signUp(person, card, 'STARTER', 'k'))
    app.advance(MINUTE_MS)
    done(await signUp(person, card, 'STARTER', 'k'))
    refused(await signUp(person, card, 'STARTER', 'k2'), 'bundle_held')
    expect(await paymentsOf(app, person)).toHaveLength(1)
  })
})

describe('202', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['the job', () => app.job('settle-payments')],
    ['the webhook', () => double.flushWebhooks()],
  ])('%s settles an unknown outcome, with bundle, units, card and address', async (_, settle) => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    double.addFault({ fault: 'torn-body', match: CONFIRM })
    const answer = await signUp(person, card)
    expect([answer.status, answer.body.status]).toEqual([202, 'pending'])
    expectContract(v1.signUpForBundle, answer)
    expect(await bundleOf(person)).toBeNull()
    double.clearFaults()
    app.advance(MINUTE_MS)
    await settle()
    expect(await bundleOf(person)).toMatchObject({ name: 'STARTER', quota: 1100 })
    expect((await shown(app, person)).address).not.toBeNull()
    expect(await defaultCard(app, person)).toBe(card)
    await expectSameAsStripe(app, person)
    await expectBooksAgree(app, person)
  })
})

describe('402, or 400 if no bank was asked', () => {
  test.each([
    'pm_card_chargeDeclined',
    'pm_card_chargeDeclinedInsufficientFunds',
    'pm_card_chargeDeclinedExpiredCard',
    'pm_card_chargeCustomerFail',
    'pm_card_radarBlock',
    'pm_1Unknown0000000000000',
  ])('%s: no bundle, no units, no address, no card, nothing open', async (card) => {
    const person = await app.signUp()
    const code = card.startsWith('pm_card_') ? 'card_declined' : 'invalid_payment_method'
    refused(await signUp(person, card), code)
    await double.flushWebhooks()
    expect(await shown(app, person)).toMatchObject({ bundle: null, address: null })
    expect((await ledgerOf(app, person)).map(({ kind }) => kind)).toEqual(['trial'])
    expect(await defaultCard(app, person)).toBeNull()
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
    await expectSameAsStripe(app, person)
  })

  test('3-D Secure: everything is credited once the customer has authenticated, and nothing before', async () => {
    const person = await app.signUp()
    const card = await newCard(app, ALWAYS_3DS)
    const answer = await signUp(person, card)
    refused(answer, 'payment_action_required')
    expect(answer.body.clientSecret).toBe((await waitingPayment(app, person)).client_secret)
    expect(await bundleOf(person)).toBeNull()
    await authenticate(app, person)
    expect(await bundleOf(person)).toMatchObject({ name: 'STARTER', quota: 1100 })
    expect(await defaultCard(app, person)).toBe(card)
    await expectSameAsStripe(app, person)
    await expectBooksAgree(app, person)
  })
})

describe('the other refusals', () => {
  test('409 bundle_held for an account with a bundle, and nothing is charged', async () => {
    const person = await app.signUp()
    done(await signUp(person, 'pm_card_visa'))
    app.advance(11_000)
    app.resetCalls()
    refused(await signUp(person, 'pm_card_visa', 'DEVELOPER'), 'bundle_held')
    refused(await signUp(person, 'pm_card_mastercard'), 'bundle_held')
    expect(app.calls().stripe).toEqual({})
  })

  test('400 for an invalid address', async () => {
    const person = await app.signUp()
    const { accessToken: token } = person
    for (const address of [
      { ...ADDRESS, country: 'XX' },
      { ...ADDRESS, street: '<b>' },
      { default: true },
      { ...ADDRESS, state: 'x' },
      null,
    ]) {
      const json = { name: 'STARTER', paymentMethod: 'pm_card_visa', address }
      refused(await app.request('POST', '/v1/user/bundle', { token, json }), 'invalid_request')
    }
    expect((await atStripe(app, person)).intents).toEqual([])
  })

  test('503 if Stripe cannot create the customer, and the same request succeeds later', async () => {
    const person = await app.signUp()
    double.addFault({ fault: '500', match: 'POST /v1/customers$' })
    refused(await signUp(person, 'pm_card_visa', 'STARTER', 'k'), 'temporarily_unavailable')
    double.clearFaults()
    app.advance(25 * 3_600_000)
    done(
      await signUp(
        await app.login(person).then((session) => ({ ...person, ...session })),
        'pm_card_visa',
        'STARTER',
        'k',
      ),
    )
    await expectBooksAgree(app, { ...person, ...(await app.login(person)) })
  })
})
