import { afterEach, describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { proveCard } from '../../core/cards/verify.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { rows } from '../../functions/http/rows.ts'
import { Crash } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { sendRaw } from '../support/send.ts'
import {
  atStripe,
  cardOnFile,
  customerId,
  defaultCard,
  deliver,
  expectNothingHeld,
  expectSameAsStripe,
  later,
  listed,
  newCard,
  newEvent,
  openHolds,
  remove,
  stripeOf,
  verify,
} from '../support/stripe.ts'
import { expectError, jsonSchema, targetOf } from './contract.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

const MINUTE_MS = 60_000
const DAY_MS = 24 * 3_600_000
const GOOD = '4242424242424242'
const ALWAYS_3DS = '4000002760003184'
const ADDRESS = { street: 'Main st.', city: 'England', postCode: 'YO31 8SB', country: 'GB' }

const change = ({ accessToken: token }: SignedInPerson, paymentMethod: string) =>
  app.request('PUT', '/v1/user/card', { token, json: { paymentMethod, address: ADDRESS } })

/** The content of an answer without the time and the request's id. */
function comparable({ status, headers, text }: TestAnswer) {
  const { date, ratelimit, 'apigw-requestid': id = '', ...rest } = Object.fromEntries(headers)
  return JSON.stringify([status, rest, text.replaceAll(id, '<id>')])
}

const statuses = (answers: TestAnswer[]) => answers.map(({ status }) => status).sort()

/** Rows that take a payment method in the body or in the path. */
const takers = rows.filter(
  ({ body, routes }) =>
    Object.hasOwn((body && jsonSchema(body, 'input').properties) ?? {}, 'paymentMethod') ||
    routes[0].includes('/payment-method/'),
)

describe.each(takers.map((row) => [rowKey(row), row] as const))('%s', (_, row) => {
  /** Sends the sample with this card instead of its own. */
  async function ask(person: SignedInPerson, card: string): Promise<TestAnswer> {
    const { path, body } = await sampleOf(app, row, person)
    const inPath = path && { ...path, id: card }
    const [method, target] = targetOf(row.routes[0], inPath)
    const text = body && JSON.stringify({ ...body, paymentMethod: card })
    const headers: [string, string][] = [['authorization', `Bearer ${person.accessToken}`]]
    if (text) headers.push(['content-type', 'application/json'])
    return sendRaw(app.url, method, target, headers, text)
  }

  test('another customer’s card is refused like an unknown card, and stays with that customer', async () => {
    const other = await app.signUp()
    const theirs = await cardOnFile(app, other)
    const stranger = await dashboard.customers.create({})
    const strange = await newCard(app, GOOD)
    await dashboard.paymentMethods.attach(strange, { customer: stranger.id })
    const person = await app.signUp()
    const answers = []
    for (const card of [theirs, strange, 'pm_1Unknown0000000000000']) answers.push(await ask(person, card))
    expect([400, 404]).toContain(answers[0]?.status)
    expect(new Set(answers.map(comparable)).size).toBe(1)
    await double.flushWebhooks()
    expect([await listed(app, other), await defaultCard(app, other)]).toEqual([[theirs], theirs])
    await expectSameAsStripe(app, other)
    expect(await listed(app, person)).not.toContain(theirs)
    expect((await dashboard.paymentMethods.retrieve(strange)).customer).toBe(stranger.id)
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })

  test('a detached card is refused, even to its owner', async () => {
    const person = await app.signUp()
    const card = await cardOnFile(app, person)
    expect((await remove(app, person, card)).status).toBe(204)
    await double.flushWebhooks()
    // Removing it is a repeat.
    const again = row.name === 'deletePaymentMethod' ? 204 : 400
    expect((await ask(person, card)).status).toBe(again)
    await double.flushWebhooks()
    expect((await dashboard.paymentMethods.retrieve(card)).customer).toBeNull()
    expect(await listed(app, person)).not.toContain(card)
    await expectNothingHeld(app, person)
  })

  test('a customer or an account in the body is refused, and neither is touched', async () => {
    const other = await app.signUp()
    await cardOnFile(app, other)
    const cus = await customerId(app, other)
    const person = await app.signUp()
    const { path, body } = await sampleOf(app, row, person)
    const [method, target] = targetOf(row.routes[0], path)
    for (const claim of [
      { customer: cus },
      { customerId: cus },
      { accountId: other.accountId },
      { paymentMethod: cus },
      { metadata: { account: other.accountId } },
    ]) {
      app.resetCalls()
      const json = { ...body, ...claim }
      const answer = await app.request(method, target, { token: person.accessToken, json })
      expectError(row, answer, 'invalid_request')
      expect(app.calls().stripe).toEqual({})
    }
    await expectSameAsStripe(app, other)
  })
})

describe('the default card of an account with auto-renewal', () => {
  test('is not deleted, however many requests of whatever kind run concurrently', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    const second = await cardOnFile(app, person, 'pm_card_mastercard')
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #bundle = ${'STARTER'}`)
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => remove(app, person, first)),
      remove(app, person, second),
    ])
    expect(statuses(answers)).toEqual([204, ...Array(10).fill(409)])
    await double.flushWebhooks()
    expect([await listed(app, person), await defaultCard(app, person)]).toEqual([[first], first])
    await expectSameAsStripe(app, person)
  })

  test('is not deleted while the deletion races the switch that turns auto-renewal on', async () => {
    for (let round = 0; round < 2; round++) {
      const person = await app.signUp()
      const card = await cardOnFile(app, person)
      const { table } = await app.ports()
      const flags = { bundleAutoRenewal: false, lowQuotaNotification: true }
      await table.update(keys.profile(person.accountId), expr`SET #bundle = ${'STARTER'}, #flags = ${flags}`)
      const json = { ...flags, bundleAutoRenewal: true }
      const [deleted, switched] = await Promise.all([
        remove(app, person, card),
        app.request('PUT', '/v1/user/flags', { token: person.accessToken, json }),
      ])
      expect([204, 409]).toContain(deleted.status)
      expect(switched.status).toBe(204)
      expect(await listed(app, person)).toEqual(deleted.status === 204 ? [] : [card])
      await expectSameAsStripe(app, person)
    }
  })
})

describe('changes of card', () => {
  test('of two concurrent changes at the edge of the 24 hours one succeeds', async () => {
    let person = await app.signUp()
    expect((await change(person, 'pm_card_visa')).status).toBe(204)
    person = await later(app, person, DAY_MS - 1)
    const early = await Promise.all([change(person, 'pm_card_amex'), change(person, 'pm_card_mastercard')])
    expect(statuses(early)).toEqual([429, 429])
    app.advance(1)
    const cards = await Promise.all(Array.from({ length: 10 }, () => newCard(app, GOOD)))
    const answers = await Promise.all(cards.map((card) => change(person, card)))
    expect(statuses(answers).filter((status) => status === 204)).toHaveLength(1)
    expect([204, 409, 429]).toEqual(expect.arrayContaining([...new Set(statuses(answers))]))
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
    const [, ...others] = (await atStripe(app, person)).intents.filter(({ status }) => status === 'canceled')
    expect(others).toHaveLength(1)
  })

  test('a change that waits for 3-D Secure does not become a second change', async () => {
    const person = await app.signUp()
    const slow = await newCard(app, ALWAYS_3DS)
    expect((await change(person, slow)).status).toBe(402)
    const [open] = (await atStripe(app, person)).intents
    double.authenticate({ paymentIntent: open?.id ?? '', outcome: 'succeed' })
    // The webhook finishes the first change while the request for the second one runs.
    const [, answer] = await Promise.all([double.flushWebhooks(), change(person, 'pm_card_visa')])
    await double.flushWebhooks()
    const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
    expect(profile?.cardChangedAtMs).toBe(Date.now())
    expect([204, 409, 429]).toContain(answer.status)
    expect((await defaultCard(app, person)) === slow).toBe(answer.status !== 204)
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })
})

describe('verifications', () => {
  const holdsMade = async (person: SignedInPerson) =>
    (await atStripe(app, person)).charges.filter(({ status }) => status === 'succeeded').length

  test('20 concurrent verifications of one card make one hold', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    const answers = await Promise.all(Array.from({ length: 20 }, () => verify(app, person, card)))
    expect([200, 202, 409]).toEqual(expect.arrayContaining([...new Set(statuses(answers))]))
    expect(statuses(answers)).toContain(200)
    expect(await holdsMade(person)).toBe(1)
    await double.flushWebhooks()
    app.advance(MINUTE_MS)
    await app.job('sweep')
    expect(await listed(app, person)).toEqual([card])
    await expectSameAsStripe(app, person)
    await expectNothingHeld(app, person)
  })

  test('retries after lost answers make no second hold while the first is open', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    double.addFault({ fault: 'torn-body', match: 'POST /v1/payment_intents/*/confirm', times: 2 })
    for (const status of [202, 202, 200]) expect((await verify(app, person, card)).status).toBe(status)
    expect(await holdsMade(person)).toBe(1)
    await double.flushWebhooks()
    await expectNothingHeld(app, person)
  })

  test('a hold that a crash left unreleased is released by the webhook or the sweep', async () => {
    const crash = () => Promise.reject(new Crash('the process is gone'))
    for (const recover of ['webhook', 'sweep']) {
      const person = await app.signUp()
      const card = await newCard(app, GOOD)
      const ports = await app.ports()
      const account = await readAccount(ports, person.accountId)
      if (!account) throw new Error('no account')
      // The release is the last step of a verification, so the crash prevents no other call.
      const payments = new Proxy(ports.payments, {
        get: (all, name) => (name === 'cancelPayment' ? crash : Reflect.get(all, name)),
      })
      await proveCard({ ...ports, payments }, account, { purpose: 'verify', cardId: card })
      expect((await atStripe(app, person)).intents.map(({ status }) => status)).toEqual(['requires_capture'])
      expect(await openHolds(app, person)).toHaveLength(1)
      if (recover === 'webhook') await double.flushWebhooks()
      else {
        app.advance(MINUTE_MS)
        await app.job('sweep')
      }
      await expectNothingHeld(app, person)
      expect([await listed(app, person), await defaultCard(app, person)]).toEqual([[card], card])
      await expectSameAsStripe(app, person)
      await double.flushWebhooks()
    }
  })

  test('a card tester can try 3 cards an hour and 10 a day, and never learns why a card was declined', async () => {
    let person = await app.signUp()
    const numbers = ['4000000000000002', '4000000000009995', '4000000000009987', '4000000000000127', GOOD]
    const told402 = new Set<string>()
    let bank = 0
    for (let round = 0; round < 4; round++) {
      for (const number of numbers) {
        app.resetCalls()
        const answer = await (round % 2
          ? change
          : (who: SignedInPerson, card: string) => verify(app, who, card))(person, await newCard(app, number))
        bank += app.calls().stripe['POST /v1/payment_intents/*/confirm'] ?? 0
        expect([402, 429]).toContain(answer.status)
        if (answer.status === 402) told402.add(comparable(answer))
        else expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
      }
      person = await later(app, person, 6 * 3_600_000 - 1)
    }
    expect([bank, told402.size]).toEqual([10, 1])
    expect(await listed(app, person)).toEqual([])
    await expectNothingHeld(app, person)
  })

  test('concurrent tries at any endpoint do not exceed the limit', async () => {
    const person = await app.signUp()
    const cards = await Promise.all(Array.from({ length: 20 }, () => newCard(app, '4000000000000002')))
    app.resetCalls()
    const answers = await Promise.all(
      cards.map((card, at) => (at % 2 ? change(person, card) : verify(app, person, card))),
    )
    expect([402, 409, 429]).toEqual(expect.arrayContaining([...new Set(statuses(answers))]))
    expect(app.calls().stripe['POST /v1/payment_intents/*/confirm'] ?? 0).toBeLessThanOrEqual(3)
    await double.flushWebhooks()
    await expectNothingHeld(app, person)
  })

  test('a request that read the account before three other tries does not get a fourth try', async () => {
    const person = await app.signUp()
    await verify(app, person, 'pm_card_chargeDeclined')
    const ports = await app.ports()
    const stale = await readAccount(ports, person.accountId)
    if (!stale) throw new Error('no account')
    for (let tries = 0; tries < 2; tries++) await verify(app, person, 'pm_card_chargeDeclined')
    app.resetCalls()
    const late = proveCard(ports, stale, { purpose: 'verify', cardId: 'pm_card_visa' })
    await expect(late).rejects.toMatchObject({ code: 'too_many_cards_tried' })
    expect(app.calls().stripe).toEqual({})
  })

  test('3-D Secure is neither success nor failure until the customer has completed it', async () => {
    const person = await app.signUp()
    const card = await newCard(app, ALWAYS_3DS)
    const answer = await verify(app, person, card)
    expect([answer.status, answer.body.type]).toEqual([402, 'urn:bursar:problem:payment_action_required'])
    await double.flushWebhooks()
    for (let hours = 0; hours < 22; hours += 11) {
      app.advance(11 * 3_600_000)
      await app.job('sweep')
      await double.flushWebhooks()
    }
    const again = { ...person, ...(await app.login(person)) }
    expect(await listed(app, again)).toEqual([])
    expect(await openHolds(app, again)).toHaveLength(1)
  })

  test('3-D Secure that the customer completes within 24 hours counts', async () => {
    const person = await app.signUp()
    const card = await newCard(app, ALWAYS_3DS)
    await verify(app, person, card)
    const [open] = (await atStripe(app, person)).intents
    const again = await later(app, person, DAY_MS - 1)
    await app.job('sweep')
    double.authenticate({ paymentIntent: open?.id ?? '', outcome: 'succeed' })
    await double.flushWebhooks()
    expect(await listed(app, again)).toEqual([card])
    await expectSameAsStripe(app, again)
    await expectNothingHeld(app, again)
  })

  /** A held payment whose metadata claims to belong to the open verification. */
  async function forgedFor(person: SignedInPerson, claim: object) {
    const [hold] = await openHolds(app, person)
    double.addFault({ fault: 'drop-webhooks' })
    const forged = await dashboard.paymentIntents.create({
      amount: 100,
      currency: 'usd',
      capture_method: 'manual',
      confirm: true,
      customer: (await customerId(app, person)) ?? '',
      payment_method: 'pm_card_visa',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      metadata: { account: person.accountId, purchase: `hold_${hold?.id}` },
      ...claim,
    })
    expect(forged.status).toBe('requires_capture')
    return forged
  }

  test.each([
    ['amount', async () => ({ amount: 5000 })],
    ['currency', async () => ({ currency: 'eur' })],
    ['customer', async () => ({ customer: (await dashboard.customers.create({})).id })],
  ])('a webhook of a payment with another %s settles nothing', async (_, claim) => {
    const person = await app.signUp()
    double.addFault({ fault: 'torn-body', match: 'POST /v1/payment_intents$', times: 1 })
    expect((await verify(app, person, await newCard(app, GOOD))).status).toBe(503)
    // The verification has no payment id yet, so the metadata alone decides.
    const forged = await forgedFor(person, await claim())
    await deliver(app, newEvent('payment_intent.amount_capturable_updated', forged))
    expect(await listed(app, person)).toEqual([])
    expect(await openHolds(app, person)).toMatchObject([{ state: 'created' }])
  })

  test('a webhook of another payment settles nothing, even if everything else matches', async () => {
    const person = await app.signUp()
    await verify(app, person, await newCard(app, ALWAYS_3DS))
    const [open] = (await atStripe(app, person)).intents
    await double.flushWebhooks()
    const forged = await forgedFor(person, {})
    await deliver(app, newEvent('payment_intent.amount_capturable_updated', forged))
    expect(await listed(app, person)).toEqual([])
    expect(await openHolds(app, person)).toMatchObject([{ paymentId: open?.id, state: 'saved' }])
  })

  test('a webhook of the verification’s own payment settles nothing after a change of its amount', async () => {
    const person = await app.signUp()
    await verify(app, person, await newCard(app, ALWAYS_3DS))
    const [open] = (await atStripe(app, person)).intents
    await dashboard.paymentIntents.update(open?.id ?? '', { amount: 9900 })
    double.authenticate({ paymentIntent: open?.id ?? '', outcome: 'succeed' })
    for (const event of (await dashboard.events.list({ limit: 10 })).data) await deliver(app, event)
    await expectNothingHeld(app, person)
    const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
    expect([profile?.balanceCents, profile?.ledgerSeq]).toEqual([0, 1])
  })
})
