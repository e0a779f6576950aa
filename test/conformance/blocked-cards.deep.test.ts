import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import {
  ADDRESS,
  buy,
  changeTo,
  expectBooksAgree,
  expectNothingOpen,
  newBuyer,
  noticesOf,
  paymentsOf,
  refund,
  shown,
  signUpFor,
  spendTo,
  unitsLeft,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { Consumer } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'
import { fingerprintOf } from '../support/shared-tries.ts'
import { expectNothingHeld, newCard, newToken, stripeOf, verify } from '../support/stripe.ts'

/** A card that one account has misused, or owes for, buys nothing for another account. */

const app = await startApp()
const { double, dashboard } = stripeOf(app)
beforeEach(() => app.startAfresh())
afterEach(() => double.clearFaults())

const CONFIRM = 'POST /v1/payment_intents/*/confirm'
const NUMBER = '4242424242424242'
const OTHER = '5555555555554444'

/** How often a bank was asked since the last call of `resetCalls`. */
const asked = (): number => app.calls().stripe[CONFIRM] ?? 0

const chargeOf = async (person: SignedInPerson, at = 0): Promise<string> =>
  String((await paymentsOf(app, person))[at]?.latest_charge)

/** The cardholder denies the account's first payment. */
async function dispute(person: SignedInPerson, reason?: 'product_not_received'): Promise<void> {
  double.dispute({ charge: await chargeOf(person), ...(reason && { reason }) })
  await double.flushWebhooks()
}

async function winDispute(): Promise<void> {
  const [open] = (await dashboard.disputes.list({ limit: 1 })).data
  await dashboard.disputes.update(String(open?.id), { evidence: { uncategorized_text: 'winning_evidence' } })
  app.advance(5_000)
  await double.flushWebhooks()
}

/** Expects a refusal that reached no bank and left nothing behind. */
async function expectRefused(person: SignedInPerson, ask: () => Promise<TestAnswer>) {
  app.resetCalls()
  const { status, body } = await ask()
  expect([status, body.type, asked()]).toEqual([402, 'urn:bursar:problem:card_declined', 0])
  expect(JSON.stringify(body)).not.toMatch(/account|fraud|dispute/i)
  await double.flushWebhooks()
  await expectNothingOpen(app, person)
}

describe.each([
  ['a payment method', newCard],
  ['a ConfirmationToken', newToken],
] as const)('a card that one account disputed as fraud, as %s', (_, made) => {
  test('402: no other account signs up with it, and another card works', async () => {
    await dispute(await newBuyer(app))
    const person = await app.signUp()
    const card = await made(app, NUMBER)
    await expectRefused(person, () => signUpFor(app, person, 'STARTER', card))
    // A try that reached no bank does not count, so there may be any number.
    for (let tries = 0; tries < 3; tries++) {
      const again = await made(app, NUMBER)
      await expectRefused(person, () => signUpFor(app, person, 'STARTER', again))
    }
    expect((await signUpFor(app, person, 'STARTER', await made(app, OTHER))).status).toBe(204)
  })

  test('402: no other account proves it', async () => {
    await dispute(await newBuyer(app))
    const person = await app.signUp()
    const card = await made(app, NUMBER)
    for (let tries = 0; tries < 4; tries++) await expectRefused(person, () => verify(app, person, card))
    await expectNothingHeld(app, person)
    expect((await verify(app, person, await made(app, OTHER))).status).toBe(200)
  })
})

describe('accounts that have the card on file', () => {
  test('402: neither refill nor change with it', async () => {
    const [first, second] = [await newBuyer(app), await newBuyer(app)]
    await dispute(first)
    await expectRefused(second, () => buy(app, second))
    app.advance(11_000)
    await expectRefused(second, () => changeTo(app, second, 'DEVELOPER'))
    expect(await paymentsOf(app, second)).toHaveLength(1)
    await expectBooksAgree(app, second)
  })

  test('429: refills are limited, because each costs calls to Stripe', async () => {
    const [first, second] = [await newBuyer(app), await newBuyer(app)]
    await dispute(first)
    const statuses = []
    for (let tries = 0; tries < 4; tries++) {
      statuses.push((await buy(app, second)).status)
      app.advance(11_000)
    }
    expect(statuses).toEqual([402, 402, 402, 429])
  })

  test('renewals pause, and the owner is told once', async () => {
    const [first, second] = [await newBuyer(app), await newBuyer(app)]
    await dispute(first)
    await spendTo(app, second, 5)
    app.resetCalls()
    for (let runs = 0; runs < 2; runs++) {
      app.advance(60_000)
      await app.job('check-quotas')
      await double.flushWebhooks()
    }
    expect(asked()).toBe(0)
    const { renewal } = await shown(app, second)
    expect(renewal).toMatchObject({ state: 'paused', reason: 'card_blocked' })
    expect((await noticesOf(app, second)).filter((type) => type === 'renewal_declined')).toHaveLength(1)
    expect(await paymentsOf(app, second)).toHaveLength(1)
  })

  test('201: they buy again once the dispute is won', async () => {
    const [first, second] = [await newBuyer(app), await newBuyer(app)]
    await dispute(first)
    await expectRefused(second, () => buy(app, second))
    await winDispute()
    app.advance(11_000)
    expect((await buy(app, second)).status).toBe(201)
  })
})

test('of accounts that buy with one card and dispute each payment, the next gets nothing', async () => {
  const people: Consumer[] = []
  for (let at = 0; at < 3; at++) people.push(await newBuyer(app))
  for (const person of people) await dispute(person)
  for (const person of [...people, await app.signUp()]) {
    const card = await newCard(app, NUMBER)
    await expectRefused(person, () => verify(app, person, card))
  }
})

describe('a card for which one account owes', () => {
  /** Buys, spends and gets the money back, so that the account owes units. */
  async function debtor(): Promise<Consumer> {
    const person = await newBuyer(app)
    await spendTo(app, person, 0)
    const [payment] = await paymentsOf(app, person)
    await refund(app, payment!)
    await double.flushWebhooks()
    expect((await shown(app, person, '/api/users/current')).balance).toBeLessThan(0)
    return person
  }

  test('402: no other account buys with it, but the account itself does, and pays its debt', async () => {
    const [owing, other] = [await debtor(), await app.signUp()]
    const card = await newCard(app, NUMBER)
    await expectRefused(other, () => signUpFor(app, other, 'STARTER', card))
    expect((await buy(app, owing)).status).toBe(201)
    expect(await unitsLeft(app, owing)).toBe(0)
    expect((await signUpFor(app, other, 'STARTER', await newCard(app, NUMBER))).status).toBe(204)
  })

  test('402: a debt from a dispute without fraud counts as well, until it is won', async () => {
    const owing = await newBuyer(app)
    await spendTo(app, owing, 0)
    const other = await newBuyer(app)
    await dispute(owing, 'product_not_received')
    await expectRefused(other, () => buy(app, other))
    await winDispute()
    app.advance(11_000)
    expect((await buy(app, other)).status).toBe(201)
  })

  test('402: the debts of two accounts count until both are paid', async () => {
    const [first, second, other] = [await debtor(), await debtor(), await app.signUp()]
    const changeCard = async ({ accessToken: token }: Consumer) => {
      const json = { paymentMethod: await newCard(app, OTHER), address: ADDRESS }
      expect((await app.request('PUT', '/v1/user/card', { token, json })).status).toBe(204)
    }
    const signUp = async () => signUpFor(app, other, 'STARTER', await newCard(app, NUMBER))
    await expectRefused(other, signUp)
    // Neither pays with the card of both.
    await expectRefused(first, () => buy(app, first))
    for (const person of [first, second]) {
      await app.request('PUT', '/v1/user/flags', {
        token: person.accessToken,
        json: { bundleAutoRenewal: false, lowQuotaNotification: true },
      })
    }
    app.advance(11_000)
    await changeCard(first)
    expect((await buy(app, first)).status).toBe(201)
    await expectRefused(other, signUp)
    await changeCard(second)
    expect((await buy(app, second)).status).toBe(201)
    expect((await signUp()).status).toBe(204)
  })
})

describe('a card that is blocked while a payment with it waits', () => {
  const ALWAYS_3DS = '4000002760003184'

  async function block(number: string): Promise<void> {
    const json = { card: fingerprintOf(number), reason: 'stolen' }
    const { status } = await app.request('POST', '/ops/admin/blocked-cards', { operator: 'admin', json })
    expect(status).toBe(200)
  }

  test('nobody waits for 3-D Secure of a sign-up or a proof any more, minutes later', async () => {
    const [buyer, owner] = [await app.signUp(), await app.signUp()]
    const answers = [
      await signUpFor(app, buyer, 'STARTER', await newCard(app, ALWAYS_3DS)),
      await verify(app, owner, await newCard(app, ALWAYS_3DS)),
    ]
    for (const { body } of answers) expect(body.type).toBe('urn:bursar:problem:payment_action_required')
    await block(ALWAYS_3DS)
    app.advance(6 * 60_000)
    expect(await app.job('settle-payments')).toMatchObject({ ended: 1, failed: 0 })
    await app.job('sweep')
    for (const person of [buyer, owner]) {
      await expectNothingOpen(app, person)
      await expectNothingHeld(app, person)
    }
    expect((await noticesOf(app, buyer)).filter((type) => type === 'purchase_failed')).toHaveLength(1)
  })

  test('202: a sign-up that was promised ends uncharged, which is no failure of the job', async () => {
    const person = await app.signUp()
    double.addFault({ fault: '429', match: 'POST /v1/payment_intents$' })
    expect((await signUpFor(app, person, 'STARTER', await newCard(app, NUMBER))).status).toBe(202)
    double.clearFaults()
    await block(NUMBER)
    app.advance(11_000)
    app.resetCalls()
    expect(await app.job('settle-payments')).toMatchObject({ ended: 1, failed: 0 })
    expect(asked()).toBe(0)
    await expectNothingOpen(app, person)
    expect(await noticesOf(app, person)).toContain('purchase_failed')
  })
})
