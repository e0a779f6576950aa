import Stripe from 'stripe'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { STRIPE_API_VERSION, stripePayments } from '../../core/adapters/stripe.ts'
import { type DomainError, rateLimitOf } from '../../core/errors.ts'
import type { Payments } from '../../core/ports.ts'
import { stripeMistake } from '../../functions/deploy/stripe-settings.ts'
import { listen } from '../local/http.ts'
import { type StripeDouble, startStripe } from '../local/stripe.ts'
import {
  accountIdForTest,
  attachedCard,
  domainError,
  known,
  newCard,
  newCustomer,
  newPayment,
  type PaymentsUnderTest,
  paymentsContract,
} from './payments.contract.ts'

const secretKey = 'sk_test_contract0000'

interface OnDouble extends PaymentsUnderTest {
  double: StripeDouble
  /** The same adapter with a short timeout. */
  impatient: Payments
}

async function onDouble(): Promise<OnDouble> {
  const errors: unknown[] = []
  const double = await startStripe({ nowMs: Date.now, onError: (error) => errors.push(error) })
  const { hostname: host, port } = new URL(double.url)
  return {
    double,
    payments: stripePayments({ secretKey, apiBase: double.url }),
    impatient: stripePayments({ secretKey, apiBase: double.url, timeoutMs: 500 }),
    stripe: new Stripe(secretKey, { host, port, protocol: 'http', telemetry: false }),
    async close() {
      await double.close()
      expect(errors).toEqual([])
    },
  }
}

paymentsContract('Payments on the double', onDouble)

const realKey = process.env.STRIPE_SECRET_KEY
if (realKey) {
  const mistake = stripeMistake('STRIPE_SECRET_KEY', realKey, 'test')
  if (mistake) throw new Error(`STRIPE_SECRET_KEY is ${mistake.is}. Set ${mistake.wanted}, or unset it.`)
  paymentsContract('Payments on Stripe', async () => ({
    payments: stripePayments({ secretKey: realKey }),
    stripe: new Stripe(realKey, { telemetry: false }),
    close: () => Promise.resolve(),
  }))
}

/** Faults that leave the outcome of a call unknown. Each lasts longer than the one retry. */
const faults = [
  { fault: 'lose-reply-before-commit' },
  { fault: 'lose-reply-after-commit' },
  { fault: 'torn-body' },
  { fault: '409' },
  { fault: '500' },
  { fault: '500', code: 'after-commit' },
  { fault: 'delay', delayMs: 700 },
] as const

describe.concurrent('Payments when the outcome is unknown', () => {
  test.each(faults)(
    'a confirmation under %o is unknown, never declined; repeated, it has charged once',
    async (fault) => {
      const subject = await onDouble()
      const { payments, impatient, double, stripe } = subject
      const { id } = await newCustomer(subject)
      const card = await attachedCard(subject, id)
      const payment = await newPayment(subject, 'purchase', id, card.id)
      double.addFault({ ...fault, match: 'POST /v1/payment_intents/*/confirm$' })
      expect(await impatient.confirmPayment(payment.id, 'purchase')).toEqual({
        status: 'unknown',
        cause: expect.any(Error),
      })
      double.clearFaults()
      expect(known(await payments.confirmPayment(payment.id, 'purchase')).status).toBe('succeeded')
      expect((await stripe.charges.list({ payment_intent: payment.id })).data).toHaveLength(1)
      await subject.close()
    },
  )

  test.each(faults)('under %o every other call is unknown as well', async (fault) => {
    const subject = await onDouble()
    const { impatient, double } = subject
    const { id } = await newCustomer(subject)
    const card = await attachedCard(subject, id)
    const hold = await newPayment(subject, 'hold', id, card.id)
    double.addFault({ ...fault })
    const calls = [
      impatient.createCustomer(accountIdForTest()),
      impatient.readCustomer(id),
      impatient.updateCustomer(id, { name: 'x' }),
      impatient.readCard(card.id),
      impatient.listCards(id),
      impatient.attachCard(card.id, id),
      impatient.detachCard(card.id),
      newPayment({ ...subject, payments: impatient }, 'purchase', id, card.id),
      impatient.cancelPayment(hold.id),
      impatient.readPayment(hold.id),
      impatient.listPayments({ customerId: id }),
      impatient.readCharge('ch_x'),
      impatient.readDispute('du_x'),
      impatient.readFraudWarning('issfr_x'),
    ]
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toEqual({ status: 'rejected', reason: domainError('temporarily_unavailable') })
    }
    await subject.close()
  })
})

describe.concurrent('Payments under a rate limit', () => {
  /** A customer with a payment that is not confirmed yet. */
  async function limited() {
    const subject = await onDouble()
    const { id } = await newCustomer(subject)
    const card = await attachedCard(subject, id)
    return { ...subject, customer: id, payment: await newPayment(subject, 'purchase', id, card.id) }
  }
  const caught = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: unknown) => error,
    )

  test('every refused call says that it had no effect, a confirmation too', async () => {
    const { payments, double, customer, payment, ...subject } = await limited()
    double.addFault({ fault: '429' })
    for (const call of [
      payments.confirmPayment(payment.id, 'purchase'),
      payments.readPayment(payment.id),
      payments.cancelPayment(payment.id),
      payments.updateCustomer(customer, { name: 'x' }),
    ]) {
      const error = await caught(call)
      expect(error).toEqual(domainError('temporarily_unavailable'))
      expect(rateLimitOf(error)).toEqual({ scope: 'endpoint', retryAfterSeconds: undefined })
    }
    double.clearFaults()
    expect(known(await payments.confirmPayment(payment.id, 'purchase')).status).toBe('succeeded')
    await subject.close()
  })

  test('a confirmation that was lost before it was refused is unknown', async () => {
    const { impatient, payments, double, stripe, payment, ...subject } = await limited()
    const match = 'POST /v1/payment_intents/*/confirm$'
    double.addFault({ fault: 'lose-reply-after-commit', match, times: 1 })
    double.addFault({ fault: '429', match })
    expect(await impatient.confirmPayment(payment.id, 'purchase')).toMatchObject({ status: 'unknown' })
    double.clearFaults()
    expect(known(await payments.confirmPayment(payment.id, 'purchase')).status).toBe('succeeded')
    expect((await stripe.charges.list({ payment_intent: payment.id })).data).toHaveLength(1)
    await subject.close()
  })
})

describe("Payments under the double's controls", () => {
  let subject: OnDouble
  beforeAll(async () => {
    subject = await onDouble()
  })
  afterEach(() => subject.double.clearFaults())
  afterAll(() => subject.close())

  const chargesOf = async (paymentId: string) =>
    (await subject.stripe.charges.list({ payment_intent: paymentId })).data

  test('a confirmation that arrives after the cancellation takes nothing', async () => {
    const { payments, impatient, double } = subject
    const { id } = await newCustomer(subject)
    const card = await attachedCard(subject, id)
    const payment = await newPayment(subject, 'purchase', id, card.id)
    double.addFault({ fault: 'delay', delayMs: 700, match: 'POST /v1/payment_intents/*/confirm$' })
    const late = impatient.confirmPayment(payment.id, 'purchase')
    expect((await payments.cancelPayment(payment.id)).status).toBe('canceled')
    expect((await late).status).toBe('unknown')
    expect((await payments.readPayment(payment.id))?.status).toBe('canceled')
    expect(await chargesOf(payment.id)).toEqual([])
  })

  test('a failure that Stripe stores under its key does not block the account for a day', async () => {
    const { payments, double } = subject
    const accountId = accountIdForTest()
    double.addFault({ fault: '500', times: 1, match: 'POST /v1/customers$' })
    await expect(payments.createCustomer(accountId)).rejects.toEqual(domainError('temporarily_unavailable'))
    const second = await payments.createCustomer(accountId)
    expect(await payments.createCustomer(accountId)).toEqual(second)
    expect(second.accountId).toBe(accountId)
  })

  test('a confirmation whose decline was lost returns the decline when repeated', async () => {
    const { payments, double } = subject
    const { id } = await newCustomer(subject)
    const card = await attachedCard(subject, id, 'pm_card_chargeCustomerFail')
    const payment = await newPayment(subject, 'renewal', id, card.id)
    double.addFault({ fault: 'torn-body', times: 1, match: 'POST /v1/payment_intents/*/confirm$' })
    expect((await payments.confirmPayment(payment.id, 'renewal')).status).toBe('unknown')
    expect(await payments.confirmPayment(payment.id, 'renewal')).toMatchObject({
      status: 'declined',
      decline: { reason: 'declined', retry: 'retryable' },
    })
    expect(await chargesOf(payment.id)).toHaveLength(1)
  })

  test.each([
    ['insufficient_funds', 'insufficient_funds', 'retryable'],
    ['stolen_card', 'lost_or_stolen', 'never'],
    ['do_not_honor', 'declined', 'retryable'],
    ['authentication_required', 'authentication_required', 'never'],
  ] as const)('the bank says %s: %s, %s', async (code, reason, retry) => {
    const { payments, double } = subject
    const { id } = await newCustomer(subject)
    const card = await attachedCard(subject, id)
    const payment = await newPayment(subject, 'renewal', id, card.id)
    double.addFault({ fault: 'decline', code })
    expect(await payments.confirmPayment(payment.id, 'renewal')).toMatchObject({
      status: 'declined',
      decline: { reason, retry },
    })
  })

  test('3-D Secure ends as held, as failed authentication, or with the decline that follows it', async () => {
    const { payments, double } = subject
    const { id } = await newCustomer(subject)
    const holdWith = async (name: string, outcome: 'succeed' | 'fail') => {
      const cardId = await newCard(subject, name)
      const hold = await newPayment(subject, 'hold', id, cardId)
      expect((await payments.confirmPayment(hold.id, 'hold')).status).toBe('action_required')
      double.authenticate({ paymentIntent: hold.id, outcome })
      return await payments.readPayment(hold.id)
    }
    expect(await holdWith('pm_card_authenticationRequired', 'succeed')).toMatchObject({ status: 'held' })
    expect(await holdWith('pm_card_authenticationRequired', 'fail')).toMatchObject({
      status: 'declined',
      decline: { reason: 'authentication_failed', retry: 'retryable' },
    })
    expect(
      await holdWith('pm_card_authenticationRequiredChargeDeclinedInsufficientFunds', 'succeed'),
    ).toMatchObject({ status: 'declined', decline: { reason: 'insufficient_funds' } })
  })

  test('a card verified with 3-D Secure renews off-session', async () => {
    const { payments, double } = subject
    const { id } = await newCustomer(subject)
    const cardId = await newCard(subject, 'pm_card_authenticationRequiredOnSetup')
    const hold = await newPayment(subject, 'hold', id, cardId)
    await payments.confirmPayment(hold.id, 'hold')
    double.authenticate({ paymentIntent: hold.id, outcome: 'succeed' })
    await payments.cancelPayment(hold.id)
    const renewal = await newPayment(subject, 'renewal', id, cardId)
    expect(await payments.confirmPayment(renewal.id, 'renewal')).toMatchObject({ status: 'succeeded' })
  })

  test('lists of more than a page are followed to their end', async () => {
    const { payments } = subject
    const { id } = await newCustomer(subject)
    const card = await attachedCard(subject, id)
    for (let n = 0; n < 100; n += 1) await attachedCard(subject, id)
    expect(await payments.listCards(id)).toHaveLength(101)
    for (let n = 0; n < 101; n += 1) await newPayment(subject, 'purchase', id, card.id)
    const first = await payments.listPayments({ customerId: id })
    const second = await payments.listPayments({ customerId: id }, first.nextCursor)
    const ids = [...first.items, ...second.items].map((payment) => payment.id)
    expect(new Set(ids).size).toBe(101)
    expect(second.nextCursor).toBeUndefined()
  })

  test('a key that Stripe refuses is an internal_error, not an outage', async () => {
    const payments = stripePayments({ secretKey: 'rk_live_nobody', apiBase: subject.double.url })
    await expect(payments.readCustomer('cus_x')).rejects.toEqual(domainError('internal_error'))
    await expect(payments.confirmPayment('pi_x', 'purchase')).rejects.toEqual(domainError('internal_error'))
  })

  test('no error contains Stripe’s message, which may name secrets or people', async () => {
    const { payments, double } = subject
    const { id } = await newCustomer(subject)
    const card = await attachedCard(subject, id)
    const payment = await newPayment(subject, 'purchase', id, card.id)
    double.addFault({ fault: '500', match: 'POST /v1/payment_intents/*/confirm$' })
    const outcome = await payments.confirmPayment(payment.id, 'purchase')
    double.clearFaults()
    const refused = await payments
      .updateCustomer(id, { defaultPaymentMethodId: 'not an address' })
      .catch((error: DomainError) => error.cause)
    for (const cause of [outcome.status === 'unknown' && outcome.cause, refused]) {
      const told = JSON.stringify(cause, Object.getOwnPropertyNames(cause))
      expect(told).toContain('req_')
      expect(told).not.toMatch(/_secret_|not an address|unexpected error/)
    }
  })
})

describe('Payments on a server that is not Stripe', () => {
  test.each([
    ['an empty object', 502, '{}'],
    ['null', 200, 'null'],
    ['a page', 200, '<html>'],
    ['another object', 200, '{"object":"charge","id":"ch_1"}'],
  ])('%s as the answer is unknown', async (_, status, body) => {
    const server = await listen((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json', 'stripe-should-retry': 'false' })
      response.end(body)
    })
    const payments = stripePayments({ secretKey, apiBase: server.url })
    expect((await payments.confirmPayment('pi_1', 'purchase')).status).toBe('unknown')
    await expect(payments.readPayment('pi_1')).rejects.toEqual(domainError('temporarily_unavailable'))
    await server.close()
  })

  test.each([
    ['processing', 'processing'],
    ['a_state_of_tomorrow', 'processing'],
    ['requires_confirmation', 'unconfirmed'],
    ['requires_payment_method', 'unconfirmed'],
  ])('an intent that is %s reads as %s', async (status, expected) => {
    const intent = { object: 'payment_intent', id: 'pi_1', status, metadata: {}, last_payment_error: null }
    const server = await listen((_request, response) => {
      response.end(JSON.stringify(intent))
    })
    const payments = stripePayments({ secretKey, apiBase: server.url })
    expect((await payments.readPayment('pi_1'))?.status).toBe(expected)
    await server.close()
  })
})

describe('declines in Stripe’s words', () => {
  test.each([
    [{ code: 'card_declined', decline_code: 'generic_decline' }, 'declined', 'retryable'],
    [{ code: 'card_declined', decline_code: 'a_code_of_tomorrow' }, 'declined', 'retryable'],
    [
      { code: 'card_declined', decline_code: 'generic_decline', advice_code: 'do_not_try_again' },
      'declined',
      'never',
    ],
    [{ code: 'card_declined', decline_code: 'pickup_card' }, 'lost_or_stolen', 'never'],
    [
      { code: 'card_declined', decline_code: 'pickup_card', advice_code: 'try_again_later' },
      'lost_or_stolen',
      'retryable',
    ],
    [{ code: 'expired_card', decline_code: 'expired_card' }, 'card_expired', 'never'],
    [{ code: 'expired_card' }, 'card_expired', 'never'],
    [{ code: 'card_declined', decline_code: 'issuer_not_available' }, 'processing_error', 'retryable'],
    [{ code: 'card_declined', decline_code: 'transaction_not_allowed' }, 'blocked', 'never'],
  ] as const)('%o is %s, %s', async (error, reason, retry) => {
    const server = await listen((_request, response) => {
      const intent = { object: 'payment_intent', id: 'pi_1', status: 'requires_payment_method', metadata: {} }
      response.end(JSON.stringify({ ...intent, last_payment_error: error }))
    })
    const payments = stripePayments({ secretKey, apiBase: server.url })
    expect(await payments.readPayment('pi_1')).toMatchObject({
      status: 'declined',
      decline: { reason, retry },
    })
    await server.close()
  })
})

describe('readEvent', () => {
  const payments = stripePayments({ secretKey })
  const secret = 'whsec_now'
  const nowMs = 1_790_000_000_000
  const now = nowMs / 1000
  const body = JSON.stringify(
    {
      id: 'evt_1',
      object: 'event',
      type: 'payment_method.detached',
      api_version: STRIPE_API_VERSION,
      created: now - 5,
      livemode: false,
      data: {
        object: { id: 'pm_1', object: 'payment_method', customer: null },
        previous_attributes: { customer: 'cus_1' },
      },
    },
    null,
    2,
  )
  const sign = (changes: { timestamp?: number; secret?: string; scheme?: string; payload?: string } = {}) =>
    new Stripe(secretKey).webhooks.generateTestHeaderString({
      payload: body,
      secret,
      timestamp: now,
      ...changes,
    })
  const read = (signature: string | undefined, secrets = [secret], bytes = body) =>
    payments.readEvent({ body: Buffer.from(bytes), signature, secrets, nowMs })

  test('a signed event names its object and the object’s customer', async () => {
    expect(await read(sign())).toEqual({
      id: 'evt_1',
      type: 'payment_method.detached',
      createdMs: nowMs - 5000,
      livemode: false,
      account: undefined,
      objectKind: 'payment_method',
      objectId: 'pm_1',
      customerId: undefined,
      metadata: {},
      previousCustomerId: 'cus_1',
    })
  })

  test('the connected account is passed on', async () => {
    const payload = body.replace('"livemode"', '"account": "acct_other", "livemode"')
    expect((await read(sign({ payload }), [secret], payload))?.account).toBe('acct_other')
  })

  test.each([
    ['no signature', undefined],
    ['an empty one', ''],
    ['a garbled one', 't=,v1=zz'],
    ['one without a stamp', `v1=${sign().split('v1=')[1]}`],
    ['one by another secret', sign({ secret: 'whsec_other' })],
    ['one of the old scheme only', sign({ scheme: 'v0' })],
    ['an edited stamp', sign().replace(`t=${now}`, `t=${now - 1}`)],
    ['a second stamp', `t=${now - 1},${sign()}`.replace(`,t=${now},`, ',')],
  ])('%s is refused', async (_, signature) => {
    expect(await read(signature)).toBeUndefined()
  })

  test.each([
    ['300 s old', -300, true],
    ['301 s old', -301, false],
    ['300 s in the future', 300, true],
    ['301 s in the future', 301, false],
  ])('%s', async (_, seconds, passes) => {
    expect((await read(sign({ timestamp: now + seconds }))) !== undefined).toBe(passes)
  })

  test('one good signature among several is enough', async () => {
    const old = sign({ secret: 'whsec_old' }).split(',')[1]
    expect((await read(`${sign()},${old}`))?.id).toBe('evt_1')
    expect((await read(`t=${now},${old},${sign().split(',')[1]},v0=abc`))?.id).toBe('evt_1')
  })

  test('both secrets pass while they rotate, a revoked one does not', async () => {
    const both = ['whsec_next', secret]
    expect((await read(sign(), both))?.id).toBe('evt_1')
    expect((await read(sign({ secret: 'whsec_next' }), both))?.id).toBe('evt_1')
    expect(await read(sign({ secret: 'whsec_revoked' }), both)).toBeUndefined()
    expect(await read(sign(), [])).toBeUndefined()
    expect(await read(sign({ secret: ' ' }), ['', ' '])).toBeUndefined()
  })

  test('the signature covers the bytes: a body that was serialised again is refused', async () => {
    expect(await read(sign(), [secret], JSON.stringify(JSON.parse(body)))).toBeUndefined()
  })

  test('signed bytes that are not an event are refused', async () => {
    expect(await read(sign({ payload: 'no json' }), [secret], 'no json')).toBeUndefined()
  })
})

describe('listUndelivered', () => {
  test('returns only undelivered events of the given time, newest first and a page at a time', async () => {
    let nowMs = 1_790_000_000_000
    let answers = true
    const endpoint = await listen((_, response) => void response.writeHead(answers ? 200 : 500).end())
    const double = await startStripe({ nowMs: () => nowMs, webhookUrl: endpoint.url, delivery: 'manual' })
    const payments = stripePayments({ secretKey, apiBase: double.url })
    const changeName = async (id: string) => {
      await payments.updateCustomer(id, { name: `at ${nowMs}` })
      await double.flushWebhooks()
    }
    const { id } = await payments.createCustomer(accountIdForTest())
    await changeName(id)
    nowMs += 60_000
    answers = false
    for (let n = 0; n < 101; n += 1) {
      await changeName(id)
      nowMs += 1000
    }
    double.addFault({ fault: 'drop-webhooks' })
    await changeName(id)
    const created = { sinceMs: nowMs - 101_000, untilMs: nowMs }
    const first = await payments.listUndelivered(created)
    const second = await payments.listUndelivered(created, first.nextCursor)
    expect(first.items[0]).toMatchObject({
      type: 'customer.updated',
      objectKind: 'customer',
      objectId: id,
      createdMs: nowMs,
    })
    expect([first.items.length, second.items.length, second.nextCursor]).toEqual([100, 2, undefined])
    expect((await payments.listUndelivered({ sinceMs: 0, untilMs: nowMs - 101_001 })).items).toEqual([])
    await double.close()
    await endpoint.close()
  })
})
