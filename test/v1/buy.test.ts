import { afterEach, describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError, outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  ALWAYS_3DS,
  authenticate,
  buy,
  expectBooksAgree,
  expectNothingOpen,
  ledgerOf,
  newBuyer,
  noticesOf,
  paymentsOf,
  shown,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import type { TestAnswer } from '../support/send.ts'
import { cardOnFile, later, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)
afterEach(() => double.clearFaults())

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const CONFIRM = 'POST /v1/payment_intents/*/confirm'
const CREATE = 'POST /v1/payment_intents$'

function bought(answer: TestAnswer): void {
  expect([answer.status, answer.text]).toEqual([201, ''])
  expectContract(v1.buy, answer)
}

/** @returns the purchase's id. */
function pending(answer: TestAnswer): string {
  expect([answer.status, answer.body]).toEqual([
    202,
    { id: expect.stringMatching(/^[0-9a-f]{24}$/), status: 'pending' },
  ])
  expectContract(v1.buy, answer)
  return answer.body.id
}

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.buy, answer, code)

describe('201', () => {
  test('the price is charged once to the default card, and the bundle’s units are added to what is left', async () => {
    const person = await newBuyer(app)
    bought(await buy(app, person))
    expect(await unitsLeft(app, person)).toBe(2100)
    const payments = await paymentsOf(app, person)
    expect(payments.map(({ amount_received }) => amount_received)).toEqual([99, 99])
    const { customer } = await shown(app, person, '/api/users/current/list-payment-methods').then(
      ({ data }) => data[0],
    )
    expect(payments.map((payment) => payment.customer)).toEqual([customer, customer])
    expect(await noticesOf(app, person)).toEqual(['purchased', 'purchased'])
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('the webhooks of the purchase change nothing, whether they come before or after the answer', async () => {
    const person = await newBuyer(app)
    bought(await buy(app, person))
    const before = await ledgerOf(app, person)
    await double.flushWebhooks()
    await app.job('settle-payments')
    expect(await ledgerOf(app, person)).toEqual(before)
    await expectBooksAgree(app, person)
  })

  test('a card can pay again after it was declined', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'decline', match: CONFIRM, times: 1 })
    refused(await buy(app, person), 'card_declined')
    app.advance(10_000)
    bought(await buy(app, person))
    expect(await unitsLeft(app, person)).toBe(2100)
    await expectBooksAgree(app, person)
  })
})

describe('a second click', () => {
  test('during the first request gets the same answer, and one charge is made', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'delay', match: CONFIRM, delayMs: 300, times: 1 })
    const answers = await Promise.all([buy(app, person), buy(app, person), buy(app, person)])
    for (const answer of answers) bought(answer)
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })

  test('during a declined request gets the decline too', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'delay', match: CREATE, delayMs: 300, times: 1 })
    double.addFault({ fault: 'decline', match: CONFIRM, times: 1 })
    for (const answer of await Promise.all([buy(app, person), buy(app, person)]))
      refused(answer, 'card_declined')
    expect(await paymentsOf(app, person)).toHaveLength(1)
    await expectNothingOpen(app, person)
  })

  test('within ten seconds after the purchase gets the same answer; later it is another purchase', async () => {
    const person = await newBuyer(app)
    bought(await buy(app, person))
    app.advance(9_999)
    app.resetCalls()
    bought(await buy(app, person))
    expect(app.calls().stripe).toEqual({})
    expect(await paymentsOf(app, person)).toHaveLength(2)
    app.advance(1)
    bought(await buy(app, person))
    expect(await paymentsOf(app, person)).toHaveLength(3)
    await expectBooksAgree(app, person)
  })

  test('within ten seconds after a decline gets the decline without a call to the bank', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'decline', match: CONFIRM, times: 1 })
    refused(await buy(app, person), 'card_declined')
    app.resetCalls()
    refused(await buy(app, person), 'card_declined')
    expect(app.calls().stripe).toEqual({})
  })

  test('with another Idempotency-Key is another purchase', async () => {
    const person = await newBuyer(app)
    bought(await buy(app, person, 'first'))
    bought(await buy(app, person, 'second'))
    expect(await unitsLeft(app, person)).toBe(3100)
    await expectBooksAgree(app, person)
  })
})

describe('Idempotency-Key', () => {
  test('the same key gets the same answer, even much later, and one charge is made', async () => {
    let person = await newBuyer(app)
    bought(await buy(app, person, 'k'))
    bought(await buy(app, person, 'k'))
    person = await later(app, person, 47 * HOUR_MS)
    app.resetCalls()
    bought(await buy(app, person, 'k'))
    expect(app.calls().stripe).toEqual({})
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })

  test('the same key gets the same decline, even if the card works by now', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'decline', match: CONFIRM, times: 1 })
    refused(await buy(app, person, 'k'), 'card_declined')
    app.advance(MINUTE_MS)
    refused(await buy(app, person, 'k'), 'card_declined')
    bought(await buy(app, person, 'l'))
    expect(await paymentsOf(app, person)).toHaveLength(2)
  })

  test('many concurrent requests with one key make one charge; each gets its answer or 409', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'delay', match: CONFIRM, delayMs: 300, times: 1 })
    const answers = await Promise.all(Array.from({ length: 10 }, () => buy(app, person, 'k')))
    const [first, ...others] = answers.sort((a, b) => a.status - b.status)
    bought(first as TestAnswer)
    for (const answer of others) {
      if (answer.status === 201) bought(answer)
      else refused(answer, 'request_in_flight')
    }
    expect(others.map(({ status }) => status)).toContain(409)
    bought(await buy(app, person, 'k'))
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })
})

describe('202: the outcome is unknown', () => {
  const unknown = [
    ['Stripe’s answer is lost after the charge', { fault: 'lose-reply-after-commit', match: CONFIRM }],
    ['Stripe’s answer is torn', { fault: 'torn-body', match: CONFIRM }],
    ['a 500 after the charge', { fault: '500', code: 'after-commit', match: CONFIRM }],
    ['a 500 before the charge', { fault: '500', match: CONFIRM }],
    ['too many requests', { fault: '429', match: CONFIRM }],
    ['the payment cannot be created', { fault: '500', match: CREATE }],
    ['the payment is created and the answer is lost', { fault: 'torn-body', match: CREATE }],
  ] as const

  test.each(unknown)(
    '%s: the job settles the purchase, which is charged and credited once or not at all',
    async (_, fault) => {
      const person = await newBuyer(app)
      double.addFault({ fault: 'drop-webhooks' })
      double.addFault(fault)
      const id = pending(await buy(app, person))
      expect((await ledgerOf(app, person)).some(({ purchaseId }) => purchaseId === id)).toBe(false)
      double.clearFaults()
      app.advance(MINUTE_MS)
      await app.job('settle-payments')
      await expectNothingOpen(app, person)
      await expectBooksAgree(app, person)
      const paid = await paymentsOf(app, person)
      expect(await unitsLeft(app, person)).toBe(100 + 1000 * paid.length)
    },
  )

  test.each(unknown.slice(0, 3))('%s: the webhook alone settles the purchase', async (_, fault) => {
    const person = await newBuyer(app)
    double.addFault(fault)
    pending(await buy(app, person))
    double.clearFaults()
    await double.flushWebhooks()
    expect(await unitsLeft(app, person)).toBe(2100)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('the same key resumes the purchase after a minute and gets its answer', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'drop-webhooks' })
    double.addFault({ fault: 'torn-body', match: CONFIRM })
    pending(await buy(app, person, 'k'))
    refused(await buy(app, person, 'k'), 'request_in_flight')
    double.clearFaults()
    app.advance(MINUTE_MS)
    bought(await buy(app, person, 'k'))
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })

  test('the same key may buy again after the purchase was abandoned without a charge', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: '500', match: CREATE })
    pending(await buy(app, person, 'k'))
    double.clearFaults()
    app.advance(MINUTE_MS)
    await app.job('settle-payments')
    expect(await paymentsOf(app, person)).toHaveLength(1)
    bought(await buy(app, person, 'k'))
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })

  test('409 purchase_open for another purchase meanwhile', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: '500', match: CONFIRM })
    pending(await buy(app, person))
    refused(await buy(app, person, 'another'), 'purchase_open')
    double.clearFaults()
    await double.flushWebhooks()
  })

  test('503 if the database does not answer before the purchase begins', async () => {
    const person = await newBuyer(app)
    app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
    app.resetCalls()
    refused(await buy(app, person), 'temporarily_unavailable')
    app.stack.dynamo.clearFaults()
    expect(app.calls().stripe).toEqual({})
    bought(await buy(app, person))
  })
})

describe('402', () => {
  test('a declined card: nothing is credited, and the payment is canceled', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'decline', match: CONFIRM, code: 'insufficient_funds', times: 1 })
    refused(await buy(app, person), 'card_declined')
    expect(await unitsLeft(app, person)).toBe(1100)
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
    await double.flushWebhooks()
    await expectBooksAgree(app, person)
  })

  test('3-D Secure is 402 with the secret, also for a second click, and credited after the customer authenticates', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    const first = await buy(app, person)
    refused(first, 'payment_action_required')
    const waiting = await waitingPayment(app, person)
    expect(first.body.clientSecret).toBe(waiting.client_secret)
    const again = await buy(app, person)
    refused(again, 'payment_action_required')
    expect(again.body.clientSecret).toBe(waiting.client_secret)
    await authenticate(app, person)
    expect(await unitsLeft(app, person)).toBe(2100)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('a failed 3-D Secure is a decline', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    refused(await buy(app, person, 'k'), 'payment_action_required')
    await authenticate(app, person, 'fail')
    refused(await buy(app, person, 'k'), 'card_declined')
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
  })

  test('an unfinished 3-D Secure is abandoned after a day', async () => {
    let person = await newBuyer(app, { card: ALWAYS_3DS })
    refused(await buy(app, person), 'payment_action_required')
    person = await later(app, person, 24 * HOUR_MS - 1)
    await app.job('settle-payments')
    await waitingPayment(app, person)
    person = await later(app, person, HOUR_MS)
    await app.job('settle-payments')
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
  })

  test('another purchase abandons the one that waits for 3-D Secure', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    refused(await buy(app, person, 'one'), 'payment_action_required')
    const first = await waitingPayment(app, person)
    refused(await buy(app, person, 'two'), 'payment_action_required')
    const second = await waitingPayment(app, person)
    expect(second.id).not.toBe(first.id)
    await authenticate(app, person)
    expect(await unitsLeft(app, person)).toBe(2100)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })
})

describe('409', () => {
  test('no_bundle before the first bundle, without a call to Stripe', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    app.resetCalls()
    refused(await buy(app, person), 'no_bundle')
    expect(app.calls().stripe).toEqual({})
    expect(outsideCalls(app)).toEqual({ Query: 1, UpdateItem: 1 })
  })

  test('no_card after the last card was removed', async () => {
    const person = await newBuyer(app)
    const { accessToken: token } = person
    await app.request('PUT', '/v1/user/flags', { token, json: {} })
    const [{ id }] = (await shown(app, person, '/api/users/current/list-payment-methods')).data
    const path = `/api/users/current/payment-method/${id}`
    expect((await app.request('DELETE', path, { token })).status).toBe(204)
    await double.flushWebhooks()
    app.resetCalls()
    refused(await buy(app, person), 'no_card')
    expect(app.calls().stripe).toEqual({})
  })
})
