import { createHmac } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import Stripe from 'stripe'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { CARDS } from '../local/stripe/cards.ts'
import type { Fault } from '../local/stripe/faults.ts'
import { parseForm } from '../local/stripe/form.ts'
import { generateSchema } from '../local/stripe/generate.ts'
import { faultsOf } from '../local/stripe/schema.ts'
import type { ErrorBody } from '../local/stripe/wire.ts'
import { type StripeDouble, type StripeOptions, startStripe } from '../local/stripe.ts'

const secretKey = 'sk_test_double0000'
const apiVersion = '2026-10-28.endive'
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

interface Bench {
  double: StripeDouble
  stripe: Stripe
  clock: { nowMs: number }
  /** Errors that the double reported about itself. A test that expects errors empties the list. */
  errors: unknown[]
}

/** A new double with a clock that stands still, and a client that never retries. */
async function bench(options: Partial<StripeOptions> = {}): Promise<Bench> {
  const clock = { nowMs: Date.UTC(2026, 10, 21, 12) }
  const errors: unknown[] = []
  const double = await startStripe({
    nowMs: () => clock.nowMs,
    onError: (error) => errors.push(error),
    ...options,
  })
  open.push({
    async close() {
      await double.close()
      expect(errors).toEqual([])
    },
  })
  return { double, clock, errors, stripe: clientOf(double) }
}

function clientOf({ url }: { url: string }): Stripe {
  const { hostname: host, port } = new URL(url)
  return new Stripe(secretKey, { host, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false })
}

interface RawAnswer {
  status: number
  headers: Headers
  text: string
  /** The members that tests read, of an error, an object or a list. */
  body: { error: ErrorBody; id: string; metadata: unknown; data: unknown[] }
}

/** Sends a request without the SDK. */
async function raw(
  { url }: { url: string },
  method: string,
  path: string,
  form: Record<string, string> | string = {},
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const text = typeof form === 'string' ? form : new URLSearchParams(form).toString()
  const get = method === 'GET'
  const response = await fetch(`${url}${path}${get && text !== '' ? `?${text}` : ''}`, {
    method,
    headers: {
      authorization: `Bearer ${secretKey}`,
      'stripe-version': apiVersion,
      'content-type': 'application/x-www-form-urlencoded',
      ...headers,
    },
    ...(get ? {} : { body: text }),
  })
  const answer = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text: answer,
    body: JSON.parse(answer),
  }
}

/** Parameters of a payment that can be confirmed in the same call. */
const payment = {
  amount: 999,
  currency: 'usd',
  automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
  confirm: true,
} as const satisfies Stripe.PaymentIntentCreateParams

const hold = { ...payment, amount: 100, capture_method: 'manual' } as const

function pay(stripe: Stripe, paymentMethod: string, params: Partial<Stripe.PaymentIntentCreateParams> = {}) {
  return stripe.paymentIntents.create({ ...payment, payment_method: paymentMethod, ...params })
}

/** The error of a call that must be refused. */
async function refusal(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  try {
    await call
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error
    throw error
  }
  throw new Error('the call was not refused')
}

const fresh = async (stripe: Stripe, name = 'pm_card_visa') => (await stripe.paymentMethods.retrieve(name)).id

/** The types of all events, oldest first. */
async function eventTypes(stripe: Stripe): Promise<string[]> {
  const events = await stripe.events.list({ limit: 100 }).autoPagingToArray({ limit: 1000 })
  return events.reverse().map((event) => event.type)
}

describe('schemas', () => {
  test('the committed schemas are those of the installed package', () => {
    const committed = JSON.parse(
      readFileSync(new URL('../local/stripe/schema.json', import.meta.url), 'utf8'),
    )
    const same = isDeepStrictEqual(generateSchema(), committed)
    expect(same, 'run: node test/local/stripe/generate.ts').toBe(true)
  })

  const refund = {
    id: 're_1',
    object: 'refund',
    amount: 1,
    balance_transaction: null,
    charge: 'ch_1',
    created: 1,
    currency: 'usd',
    customer: null,
    customer_account: null,
    metadata: {},
    payment_intent: null,
    payment_method: null,
    reason: null,
    receipt_number: null,
    source_transfer_reversal: null,
    status: 'succeeded',
    transfer_reversal: null,
  }

  test('an answer in Stripe’s form has no fault', () => {
    expect(faultsOf('refund', refund)).toEqual([])
    expect(faultsOf('refund', { ...refund, metadata: { a: 'b' }, reason: 'duplicate' })).toEqual([])
  })

  test.each([
    ['a member of another type', { amount: '1' }, 'refund.amount'],
    ['a member that does not exist', { cents: 1 }, 'refund.cents'],
    ['a member that is missing', { currency: undefined }, 'refund.currency'],
    ['null where there must be something', { created: null }, 'refund.created'],
    ['a value that is not in the enum', { reason: 'whim' }, 'refund.reason'],
    ['an object of another kind', { object: 'charge' }, 'refund.object'],
    ['metadata that are not strings', { metadata: { a: 1 } }, 'refund.metadata'],
    ['an array for an object', { metadata: [] }, 'refund.metadata'],
    ['a fault inside an expanded object', { charge: { id: 'ch_1', object: 'charge' } }, 'refund.charge'],
  ])('%s is a fault', (_, changes, where) => {
    expect(faultsOf('refund', { ...refund, ...changes }).join()).toContain(where)
  })

  test('an answer that is not in Stripe’s form is a 500 and is reported', async () => {
    const { double, clock, errors } = await bench()
    clock.nowMs = Number.NaN
    expect((await raw(double, 'POST', '/v1/customers')).status).toBe(500)
    expect(String(errors.splice(0))).toContain('event.created')
    expect((await raw(double, 'GET', '/v1/payment_methods/pm_card_visa')).status).toBe(500)
    expect(String(errors.splice(0))).toContain('payment_method.')
  })
})

describe('requests', () => {
  test('forms have nested objects in brackets, and lists by empty brackets or by numbers', () => {
    expect(parseForm('a[b][c]=1&d[]=2&d[]=3&e[0]=4&e[1]=5&f=%C3%A4+%26&f=6&g[][h]=7')).toEqual({
      a: { b: { c: '1' } },
      d: ['2', '3'],
      e: { 0: '4', 1: '5' },
      f: '6',
      g: [{ h: '7' }],
    })
  })

  const pi = 'POST /v1/payment_intents'
  const pm = 'POST /v1/payment_methods'
  test.each([
    ['an unknown parameter', pi, 'amount=100&currency=usd&colour=red', 'parameter_unknown', 'colour'],
    ['two unknown parameters', 'POST /v1/customers', 'colour=red&shape=round', 'parameter_unknown', 'colour'],
    [
      'an unknown nested parameter',
      pi,
      'amount=100&currency=usd&automatic_payment_methods[enabled]=true&automatic_payment_methods[x]=1',
      'parameter_unknown',
      'automatic_payment_methods[x]',
    ],
    ['a missing parameter', pi, 'currency=usd', 'parameter_missing', 'amount'],
    ['letters for a number', pi, 'amount=lots&currency=usd', 'parameter_invalid_integer', 'amount'],
    ['a fraction', pi, 'amount=99.5&currency=usd', 'parameter_invalid_integer', 'amount'],
    ['a word for a boolean', pi, 'amount=100&currency=usd&confirm=maybe', undefined, 'confirm'],
    [
      'a value that is not in the enum',
      pi,
      'amount=100&currency=usd&capture_method=later',
      undefined,
      'capture_method',
    ],
    [
      'an empty value for a required parameter',
      pi,
      'amount=100&currency=',
      'parameter_invalid_empty',
      'currency',
    ],
    ['text for an object', pm, 'type=card&card=4242', undefined, 'card'],
    ['an object for text', 'POST /v1/customers', 'name[first]=Ada', undefined, 'name'],
    [
      'payment_method_types',
      pi,
      'amount=100&currency=usd&payment_method_types[]=card',
      'parameter_unknown',
      'payment_method_types',
    ],
    ['a parameter that would be ignored', 'POST /v1/customers', 'balance=5', undefined, 'balance'],
    [
      'an option that would be ignored',
      pi,
      'amount=100&currency=usd&payment_method_options[card][moto]=true',
      undefined,
      'payment_method_options[card][moto]',
    ],
    ['less than half a dollar', pi, 'amount=49&currency=usd', 'amount_too_small', 'amount'],
    ['an unknown currency', pi, 'amount=100&currency=xyz', undefined, 'currency'],
    ['less than 50 yen', pi, 'amount=49&currency=jpy', 'amount_too_small', 'amount'],
    ['three decimals of which the last is not 0', pi, 'amount=1005&currency=kwd', undefined, 'amount'],
    ['off_session without confirm', pi, 'amount=100&currency=usd&off_session=true', undefined, 'off_session'],
    ['an unknown customer', pi, 'amount=100&currency=usd&customer=cus_x', 'resource_missing', 'customer'],
    ['a malformed e-mail address', 'POST /v1/customers', 'email=ada', 'email_invalid', 'email'],
    [
      'an unknown country',
      'POST /v1/customers',
      'address[country]=Germany',
      'country_code_invalid',
      'address[country]',
    ],
    ['too long metadata', 'POST /v1/customers', `metadata[a]=${'x'.repeat(501)}`, undefined, 'metadata[a]'],
    ['a page too large', 'GET /v1/customers', 'limit=101', 'parameter_invalid_integer', 'limit'],
  ])('%s: 400', async (_, route, form, code, param) => {
    const { double } = await bench()
    const [method = '', path = ''] = route.split(' ')
    const { status, body } = await raw(double, method, path, form)
    expect(status).toBe(400)
    expect(body.error).toMatchObject({ type: 'invalid_request_error', param, message: expect.any(String) })
    expect(body.error.code).toBe(code)
  })

  test('only a test key is accepted, as a bearer token or as a user name', async () => {
    const { double } = await bench()
    const get = (authorization: string) => raw(double, 'GET', '/v1/customers', {}, { authorization })
    const basic = Buffer.from(`${secretKey}:`).toString('base64')
    expect((await get(`Bearer ${secretKey}`)).status).toBe(200)
    expect((await get(`Basic ${basic}`)).status).toBe(200)
    for (const refused of ['', 'Bearer', 'Bearer sk_live_abc', 'Bearer pk_test_abc', 'Bearer rk_test_abc']) {
      const { status, body } = await get(refused)
      expect([status, body.error.type]).toEqual([401, 'invalid_request_error'])
    }
  })

  test('another API version is refused', async () => {
    const { double } = await bench()
    const { status } = await raw(
      double,
      'GET',
      '/v1/customers',
      {},
      { 'stripe-version': '2025-01-27.acacia' },
    )
    expect(status).toBe(400)
  })

  test('an unknown address is 404, and so is an unknown id', async () => {
    const { double } = await bench()
    expect((await raw(double, 'GET', '/v1/invoices')).status).toBe(404)
    for (const path of [
      'customers/cus_x',
      'payment_intents/pi_x',
      'charges/ch_x',
      'refunds/re_x',
      'events/evt_x',
      'customers/constructor',
      'payment_methods/__proto__',
      'payment_methods/pm_card_constructor',
      'customers/%ZZ',
    ]) {
      const { status, body } = await raw(double, 'GET', `/v1/${path}`)
      expect([status, body.error.code]).toEqual([404, 'resource_missing'])
    }
  })

  test('every answer has a request id and the API version', async () => {
    const { double } = await bench()
    const { headers } = await raw(double, 'GET', '/v1/customers')
    expect(headers.get('request-id')).toMatch(/^req_\w{24}$/)
    expect(headers.get('stripe-version')).toBe(apiVersion)
  })

  test('calls are counted by endpoint, until the count is reset', async () => {
    const { double, stripe } = await bench()
    const { id } = await pay(stripe, 'pm_card_visa', { confirm: false })
    await stripe.paymentIntents.confirm(id)
    await refusal(stripe.paymentIntents.confirm('pi_x'))
    await raw(double, 'GET', '/v1/elsewhere')
    expect(double.calls()).toEqual({
      'POST /v1/payment_intents': 1,
      'POST /v1/payment_intents/*/confirm': 2,
      'GET /v1/elsewhere': 1,
    })
    double.resetCalls()
    expect(double.calls()).toEqual({})
  })
})

describe('idempotency keys', () => {
  const create = (double: StripeDouble, form: Record<string, string>, key: string) =>
    raw(double, 'POST', '/v1/customers', form, { 'idempotency-key': key })

  test('the first answer is repeated exactly, and marked as a replay', async () => {
    const { double } = await bench()
    const first = await create(double, { name: 'Ada' }, 'k')
    const second = await create(double, { name: 'Ada' }, 'k')
    expect(second.text).toBe(first.text)
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(second.headers.get('original-request')).toBe(first.headers.get('request-id'))
    expect((await raw(double, 'GET', '/v1/customers')).body.data).toHaveLength(1)
  })

  test('the key with other parameters or at another path is a 400', async () => {
    const { double } = await bench()
    await create(double, { name: 'Ada' }, 'k')
    const other = await create(double, { name: 'Bob' }, 'k')
    expect([other.status, other.body.error.type]).toEqual([400, 'idempotency_error'])
    const elsewhere = await raw(double, 'POST', '/v1/payment_methods', {}, { 'idempotency-key': 'k' })
    expect(elsewhere.body.error.type).toBe('idempotency_error')
  })

  test('a decline is stored, even if the card would be accepted by now', async () => {
    const { double, stripe } = await bench()
    const intent = await pay(stripe, 'pm_card_visa', { confirm: false })
    const confirm = () =>
      raw(double, 'POST', `/v1/payment_intents/${intent.id}/confirm`, {}, { 'idempotency-key': 'k' })
    double.addFault({ fault: 'decline', times: 1 })
    const declined = await confirm()
    expect(declined.status).toBe(402)
    expect((await confirm()).text).toBe(declined.text)
  })

  test('a malformed request is not stored', async () => {
    const { double } = await bench()
    expect((await create(double, { colour: 'red' }, 'k')).status).toBe(400)
    expect((await create(double, { name: 'Ada' }, 'k')).status).toBe(200)
  })

  test('a key expires after 24 hours and not before', async () => {
    const { double, clock } = await bench()
    const first = await create(double, {}, 'k')
    clock.nowMs += dayMs - 1
    expect((await create(double, {}, 'k')).body.id).toBe(first.body.id)
    clock.nowMs += 1
    expect((await create(double, {}, 'k')).body.id).not.toBe(first.body.id)
  })

  test('a key whose request is in progress is a 409', async () => {
    const { double } = await bench()
    double.addFault({ fault: 'delay', delayMs: 600, times: 1 })
    const first = create(double, {}, 'k')
    await vi.waitFor(() => expect(double.calls()).toEqual({ 'POST /v1/customers': 1 }), { interval: 5 })
    const second = await create(double, {}, 'k')
    expect([second.status, second.body.error.code]).toEqual([409, 'idempotency_key_in_use'])
    expect(second.headers.get('stripe-should-retry')).toBe('true')
    expect((await create(double, {}, 'k')).status).toBe(409)
    expect((await create(double, {}, 'other')).status).toBe(200)
    const { body } = await first
    expect((await create(double, {}, 'k')).body.id).toBe(body.id)
  })

  test('keys have up to 255 characters and have no effect on a GET', async () => {
    const { double } = await bench()
    expect((await create(double, {}, 'k'.repeat(255))).status).toBe(200)
    expect((await create(double, {}, 'k'.repeat(256))).status).toBe(400)
    const get = (limit: string) => raw(double, 'GET', '/v1/customers', { limit }, { 'idempotency-key': 'g' })
    expect([(await get('1')).status, (await get('2')).status]).toEqual([200, 200])
  })
})

describe('faults', () => {
  const customers = async (double: StripeDouble) =>
    (await raw(double, 'GET', '/v1/customers')).body.data.length
  const create = (double: StripeDouble) =>
    raw(double, 'POST', '/v1/customers', {}, { 'idempotency-key': 'k' })

  test.each([
    ['lose-reply-before-commit', 0],
    ['lose-reply-after-commit', 1],
    ['torn-body', 1],
  ] as const)('%s: no answer, and %i customers', async (fault, count) => {
    const { double } = await bench()
    double.addFault({ fault, times: 1 })
    await expect(create(double)).rejects.toThrow()
    expect(await customers(double)).toBe(count)
    expect((await create(double)).headers.get('idempotent-replayed')).toBe(count === 1 ? 'true' : null)
  })

  test.each([
    ['409', 'idempotency_error', 'idempotency_key_in_use', null],
    ['429', 'invalid_request_error', 'rate_limit', null],
    ['500', 'api_error', undefined, 'true'],
  ] as const)('%s: no work is done', async (fault, type, code, replayed) => {
    const { double } = await bench()
    double.addFault({ fault, times: 1, match: 'POST /v1/customers$' })
    const failed = await create(double)
    expect(failed.status).toBe(Number(fault))
    expect(failed.body.error).toMatchObject({ type, ...(code && { code }) })
    expect(await customers(double)).toBe(0)
    expect((await create(double)).headers.get('idempotent-replayed')).toBe(replayed)
  })

  test('a 500 after the work is stored under its key like any other', async () => {
    const { double } = await bench()
    double.addFault({ fault: '500', code: 'after-commit', times: 1 })
    const first = await create(double)
    const again = await create(double)
    expect([first.status, again.status]).toEqual([500, 500])
    expect(first.headers.get('stripe-should-retry')).toBe('false')
    expect(await customers(double)).toBe(1)
  })

  test('a delayed request is carried out after its delay', async () => {
    const { double } = await bench()
    double.addFault({ fault: 'delay', delayMs: 600, times: 1 })
    const late = create(double)
    await vi.waitFor(() => expect(double.calls()).toEqual({ 'POST /v1/customers': 1 }), { interval: 5 })
    expect(await customers(double)).toBe(0)
    expect((await late).status).toBe(200)
    expect(await customers(double)).toBe(1)
  })

  test('a fault affects the first `times` requests that it matches; older faults come first', async () => {
    const { double } = await bench()
    const status = async (path: string) => (await raw(double, 'POST', path)).status
    double.addFault({ fault: '429', match: 'POST /v1/customers$', times: 1 })
    double.addFault({ fault: '500', match: 'POST /v1/customers/*$', times: 2 })
    expect(await status('/v1/customers/cus_x')).toBe(500)
    expect(await status('/v1/customers')).toBe(429)
    expect(await status('/v1/customers')).toBe(200)
    expect(await status('/v1/customers/cus_x')).toBe(500)
    expect(await status('/v1/customers/cus_x')).toBe(404)
    double.addFault({ fault: '500', match: 'POST /v1/payment_methods/*$' })
    expect(await status('/v1/payment_methods/pm_x/attach')).toBe(400)
    double.addFault({ fault: '500', match: 'POST /v1/payment' })
    expect(await status('/v1/payment_methods/pm_x/attach')).toBe(500)
    expect(await status('/v1/payment_methods')).toBe(500)
    double.clearFaults()
    expect(await status('/v1/payment_methods')).toBe(400)
  })

  test.each([
    [{ fault: 'gremlin' }, 'No such fault: gremlin'],
    [{ fault: 'decline', code: 'mood' }, 'No such decline: mood'],
    [{ fault: '500', times: 0 }, 'times'],
    [{ fault: 'delay', delayMs: -1 }, 'delayMs'],
  ])('%o is refused with a sentence that says why', async (fault, sentence) => {
    const { double } = await bench()
    expect(() => double.addFault(fault as Fault)).toThrow(sentence)
  })
})

describe('cards', () => {
  test.each(Object.entries(CARDS))('%s can be given as a number', async (number, card) => {
    const { stripe } = await bench()
    const made = await stripe.paymentMethods.create({
      type: 'card',
      card: { number, exp_month: 12, exp_year: 2030, cvc: '123' },
      billing_details: { name: 'Ada', address: { country: 'DE' } },
    })
    expect(made).toMatchObject({
      customer: null,
      billing_details: { name: 'Ada', address: { country: 'DE' } },
      card: { brand: card.brand, last4: number.slice(-4), exp_month: 12, exp_year: 2030 },
    })
  })

  test('each use of a name gives a new card with the same fingerprint', async () => {
    const { stripe } = await bench()
    const [first, second] = [
      await stripe.paymentMethods.retrieve('pm_card_visa'),
      await stripe.paymentMethods.retrieve('pm_card_visa'),
    ]
    expect(first.id).not.toBe(second.id)
    expect(first.card?.fingerprint).toBe(second.card?.fingerprint)
    const token = await stripe.paymentMethods.create({ type: 'card', card: { token: 'tok_mastercard' } })
    expect(token.card?.brand).toBe('mastercard')
  })

  test.each([
    ['a wrong check digit', { number: '4242424242424241' }, 'incorrect_number'],
    ['a real card', { number: '4539578763621486' }, 'card_declined'],
    ['a 13th month', { exp_month: 13 }, 'invalid_expiry_month'],
    ['last month', { exp_month: 10, exp_year: 2026 }, 'invalid_expiry_year'],
    ['a year too far', { exp_year: 2999 }, 'invalid_expiry_year'],
  ])('%s is refused', async (_, changes, code) => {
    const { stripe } = await bench()
    const card = { number: '4242424242424242', exp_month: 12, exp_year: 2030, ...changes }
    const error = await refusal(stripe.paymentMethods.create({ type: 'card', card }))
    expect([error.statusCode, error.code]).toEqual([402, code])
  })

  test('a card used without a customer, or detached, may not be used again', async () => {
    const { stripe } = await bench()
    const customer = (await stripe.customers.create()).id
    const used = await fresh(stripe)
    await pay(stripe, used)
    const detached = await fresh(stripe)
    await stripe.paymentMethods.attach(detached, { customer })
    await stripe.paymentMethods.detach(detached)
    for (const id of [used, detached]) {
      expect((await refusal(pay(stripe, id))).message).toContain('may not be used again')
      expect((await refusal(stripe.paymentMethods.attach(id, { customer }))).statusCode).toBe(400)
    }
  })

  test('detaching the default card leaves no default, which an event announces', async () => {
    const { stripe } = await bench()
    const { id } = await stripe.customers.create({ payment_method: 'pm_card_visa' })
    const [card] = (await stripe.customers.listPaymentMethods(id)).data
    await stripe.customers.update(id, { invoice_settings: { default_payment_method: card!.id } })
    await stripe.paymentMethods.detach(card!.id)
    const customer = (await stripe.customers.retrieve(id)) as Stripe.Customer
    expect(customer.invoice_settings.default_payment_method).toBeNull()
    const [detached] = (await stripe.events.list({ type: 'payment_method.detached' })).data
    expect(detached?.data).toMatchObject({
      object: { customer: null },
      previous_attributes: { customer: id },
    })
    expect(await eventTypes(stripe)).toEqual([
      'customer.created',
      'payment_method.attached',
      'customer.updated',
      'customer.updated',
      'payment_method.detached',
    ])
  })

  test('only an attached card can be changed; the event of the change has the previous values', async () => {
    const { stripe } = await bench()
    const id = await fresh(stripe)
    expect((await refusal(stripe.paymentMethods.update(id, { card: { exp_year: 2031 } }))).statusCode).toBe(
      400,
    )
    const customer = (await stripe.customers.create()).id
    await stripe.paymentMethods.attach(id, { customer })
    const changed = await stripe.paymentMethods.update(id, { card: { exp_year: 2031 } })
    expect(changed.card?.exp_year).toBe(2031)
    const [event] = (await stripe.events.list({ type: 'payment_method.updated' })).data
    expect(event?.data.previous_attributes).toMatchObject({ card: { exp_year: 2027 } })
  })

  test('both lists of cards are the same, and a card is read through its customer only', async () => {
    const { stripe } = await bench()
    const [mine, theirs] = [await stripe.customers.create(), await stripe.customers.create()]
    const { id } = await stripe.paymentMethods.attach('pm_card_visa', { customer: mine.id })
    const byCustomer = await stripe.customers.listPaymentMethods(mine.id)
    const byQuery = await stripe.paymentMethods.list({ customer: mine.id, type: 'card' })
    expect(byCustomer.data).toEqual(byQuery.data)
    expect(byCustomer.url).toBe(`/v1/customers/${mine.id}/payment_methods`)
    expect((await stripe.customers.retrievePaymentMethod(mine.id, id)).id).toBe(id)
    expect((await refusal(stripe.customers.retrievePaymentMethod(theirs.id, id))).statusCode).toBe(404)
  })
})

describe('customers', () => {
  test('metadata merge by key; an empty value removes a key, an empty string removes all', async () => {
    const { double, stripe } = await bench()
    const { id } = await stripe.customers.create({ metadata: { a: '1', b: '2' } })
    const merged = await stripe.customers.update(id, { metadata: { a: '', c: 3 } })
    expect(merged.metadata).toEqual({ b: '2', c: '3' })
    const { body } = await raw(double, 'POST', `/v1/customers/${id}`, 'metadata=')
    expect(body.metadata).toEqual({})
  })

  test('an update without a change causes no event', async () => {
    const { stripe } = await bench()
    const { id } = await stripe.customers.create({ name: 'Ada' })
    await stripe.customers.update(id, { name: 'Ada' })
    expect(await eventTypes(stripe)).toEqual(['customer.created'])
  })

  test('a deleted customer is marked as deleted, loses its cards and is not listed', async () => {
    const { stripe } = await bench()
    const { id } = await stripe.customers.create({ email: 'ada@example.com', payment_method: 'pm_card_visa' })
    expect(await stripe.customers.del(id)).toMatchObject({ id, deleted: true })
    expect(await stripe.customers.retrieve(id)).toMatchObject({ deleted: true })
    expect((await stripe.customers.list({ email: 'ada@example.com' })).data).toEqual([])
    expect((await refusal(stripe.customers.del(id))).statusCode).toBe(404)
    expect(await eventTypes(stripe)).toContain('customer.deleted')
  })

  test('a customer is not created with a card that the bank declines', async () => {
    const { stripe } = await bench()
    const error = await refusal(stripe.customers.create({ payment_method: 'pm_card_visa_chargeDeclined' }))
    expect([error.statusCode, error.decline_code]).toEqual([402, 'generic_decline'])
    expect((await stripe.customers.list()).data).toEqual([])
  })
})

describe('payment intents', () => {
  test('a payment announces its charge before itself', async () => {
    const { stripe } = await bench()
    const paid = await pay(stripe, 'pm_card_visa')
    expect(paid).toMatchObject({ status: 'succeeded', amount_received: 999 })
    expect(await eventTypes(stripe)).toEqual([
      'payment_intent.created',
      'charge.succeeded',
      'payment_intent.succeeded',
    ])
  })

  test('a decline has the intent, the card and the failed charge; the intent loses the card', async () => {
    const { stripe } = await bench()
    const error = await refusal(pay(stripe, 'pm_card_visa_chargeDeclinedInsufficientFunds'))
    expect(error).toMatchObject({
      statusCode: 402,
      rawType: 'card_error',
      code: 'card_declined',
      decline_code: 'insufficient_funds',
      advice_code: 'try_again_later',
      payment_intent: {
        status: 'requires_payment_method',
        payment_method: null,
        last_payment_error: { code: 'card_declined', decline_code: 'insufficient_funds' },
      },
      payment_method: { card: { last4: '9995' } },
    })
    expect(await stripe.charges.retrieve(error.charge!)).toMatchObject({
      status: 'failed',
      paid: false,
      failure_code: 'card_declined',
      outcome: { type: 'issuer_declined', reason: 'insufficient_funds' },
    })
    expect(await eventTypes(stripe)).toEqual([
      'payment_intent.created',
      'charge.failed',
      'payment_intent.payment_failed',
    ])
  })

  test('after a decline another card may be tried', async () => {
    const { stripe } = await bench()
    const { payment_intent: declined } = await refusal(pay(stripe, 'pm_card_chargeCustomerFail'))
    expect((await refusal(stripe.paymentIntents.confirm(declined!.id))).code).toBe(
      'payment_intent_unexpected_state',
    )
    const paid = await stripe.paymentIntents.confirm(declined!.id, { payment_method: 'pm_card_visa' })
    expect(paid).toMatchObject({ status: 'succeeded', last_payment_error: null })
  })

  test('off-session, a card that requires 3-D Secure is declined without a charge', async () => {
    const { stripe } = await bench()
    const customer = (await stripe.customers.create()).id
    const method = await stripe.paymentMethods.attach('pm_card_authenticationRequired', { customer })
    const error = await refusal(pay(stripe, method.id, { customer, off_session: true }))
    expect(error.code).toBe('authentication_required')
    expect(error.charge).toBeUndefined()
    expect(error.payment_intent?.latest_charge).toBeNull()
    expect((await stripe.charges.list()).data).toEqual([])
  })

  test.each([
    ['pm_card_authenticationRequiredOnSetup', 'succeeded', 'succeeded'],
    ['pm_card_authenticationRequired', 'succeeded', 'authentication_required'],
    ['pm_card_threeDSecureRequiredChargeDeclined', 'generic_decline', undefined],
    ['pm_card_authenticationRequiredChargeDeclinedInsufficientFunds', 'insufficient_funds', undefined],
  ])('%s: 3-D Secure ends in %s; a later off-session charge in %s', async (name, onSession, offSession) => {
    const { double, stripe } = await bench()
    const customer = (await stripe.customers.create()).id
    const waiting = await pay(stripe, name, { customer, setup_future_usage: 'off_session' })
    expect(waiting).toMatchObject({
      status: 'requires_action',
      latest_charge: null,
      next_action: { type: 'use_stripe_sdk' },
    })
    double.authenticate({ paymentIntent: waiting.id, outcome: 'succeed' })
    const done = await stripe.paymentIntents.retrieve(waiting.id)
    expect(done.last_payment_error?.decline_code ?? done.status).toBe(onSession)
    if (offSession === undefined) return
    const method = done.payment_method as string
    const again = pay(stripe, method, { customer, off_session: true })
    const outcome = await again.then(
      (intent) => intent.status,
      (error: Stripe.errors.StripeError) => error.decline_code,
    )
    expect(outcome).toBe(offSession)
  })

  test.each([
    ['succeed', { status: 'succeeded', amount_received: 999, last_payment_error: null }],
    ['fail', { last_payment_error: { code: 'payment_intent_authentication_failure' } }],
  ] as const)(
    'the customer can finish 3-D Secure later for an off-session payment that required it: %s',
    async (outcome, left) => {
      const { double, stripe } = await bench()
      const customer = (await stripe.customers.create()).id
      const method = await stripe.paymentMethods.attach('pm_card_authenticationRequired', { customer })
      const refused = await refusal(pay(stripe, method.id, { customer, off_session: true }))
      const { id = '' } = refused.payment_intent ?? {}
      double.authenticate({ paymentIntent: id, outcome })
      expect(await stripe.paymentIntents.retrieve(id)).toMatchObject(left)
      expect(() => double.authenticate({ paymentIntent: id, outcome })).toThrow('needs no action')
      const other = await refusal(pay(stripe, 'pm_card_chargeDeclined'))
      const declined = other.payment_intent?.id ?? ''
      expect(() => double.authenticate({ paymentIntent: declined, outcome })).toThrow('needs no action')
    },
  )

  test('failed 3-D Secure fails the payment; one that does not wait cannot be finished', async () => {
    const { double, stripe } = await bench()
    const { id } = await pay(stripe, 'pm_card_authenticationRequired')
    double.authenticate({ paymentIntent: id, outcome: 'fail' })
    expect(await stripe.paymentIntents.retrieve(id)).toMatchObject({
      status: 'requires_payment_method',
      last_payment_error: { code: 'payment_intent_authentication_failure' },
    })
    expect(() => double.authenticate({ paymentIntent: id, outcome: 'succeed' })).toThrow('needs no action')
    expect(() => double.authenticate({ paymentIntent: 'pi_x', outcome: 'fail' })).toThrow('No such')
    expect((await eventTypes(stripe)).slice(-2)).toEqual([
      'payment_intent.requires_action',
      'payment_intent.payment_failed',
    ])
  })

  test('a hold saves the card, and its release refunds a charge that was never captured', async () => {
    const { stripe } = await bench()
    const customer = (await stripe.customers.create()).id
    const held = await stripe.paymentIntents.create({
      ...hold,
      customer,
      payment_method: 'pm_card_visa',
      setup_future_usage: 'off_session',
      payment_method_options: { card: { setup_credential_usage: 'unscheduled' } },
    })
    expect(held).toMatchObject({ status: 'requires_capture', amount_capturable: 100, amount_received: 0 })
    await stripe.paymentIntents.cancel(held.id, { cancellation_reason: 'requested_by_customer' })
    expect(await stripe.charges.retrieve(held.latest_charge as string)).toMatchObject({
      captured: false,
      refunded: true,
      amount_refunded: 100,
    })
    expect((await stripe.refunds.list()).data).toEqual([])
    expect(await eventTypes(stripe)).toEqual([
      'customer.created',
      'payment_intent.created',
      'payment_method.attached',
      'charge.succeeded',
      'payment_intent.amount_capturable_updated',
      'charge.refunded',
      'payment_intent.canceled',
    ])
  })

  test('a hold expires after seven days unless it was captured', async () => {
    const { stripe, clock } = await bench()
    const create = () => stripe.paymentIntents.create({ ...hold, payment_method: 'pm_card_visa' })
    const [forgotten, taken] = [await create(), await create()]
    await stripe.paymentIntents.capture(taken.id, { amount_to_capture: 60 })
    clock.nowMs += 7 * dayMs - 1
    expect((await stripe.paymentIntents.retrieve(forgotten.id)).status).toBe('requires_capture')
    clock.nowMs += 1
    expect(await stripe.paymentIntents.retrieve(forgotten.id)).toMatchObject({
      status: 'canceled',
      cancellation_reason: 'automatic',
    })
    expect(await stripe.paymentIntents.retrieve(taken.id)).toMatchObject({
      status: 'succeeded',
      amount_received: 60,
    })
    expect(await stripe.charges.retrieve(taken.latest_charge as string)).toMatchObject({
      captured: true,
      amount_captured: 60,
    })
  })

  test('a finished payment cannot be confirmed, canceled, captured or changed', async () => {
    const { stripe } = await bench()
    const { id } = await pay(stripe, 'pm_card_visa')
    const canceled = await pay(stripe, 'pm_card_visa', { confirm: false })
    await stripe.paymentIntents.cancel(canceled.id)
    const calls = [
      stripe.paymentIntents.confirm(id),
      stripe.paymentIntents.cancel(id),
      stripe.paymentIntents.capture(id),
      stripe.paymentIntents.update(id, { amount: 500 }),
      stripe.paymentIntents.confirm(canceled.id),
      stripe.paymentIntents.cancel(canceled.id),
    ]
    for (const call of calls) {
      expect(await refusal(call)).toMatchObject({
        statusCode: 400,
        code: 'payment_intent_unexpected_state',
        payment_intent: { id: expect.any(String) },
      })
    }
  })

  test("another customer's card is refused at creation, at confirmation and without a customer", async () => {
    const { stripe } = await bench()
    const [mine, theirs] = [await stripe.customers.create(), await stripe.customers.create()]
    const { id: card } = await stripe.paymentMethods.attach('pm_card_visa', { customer: theirs.id })
    const customer = mine.id
    const open = await pay(stripe, await fresh(stripe), { customer, confirm: false })
    expect((await refusal(pay(stripe, card, { customer }))).param).toBe('payment_method')
    expect((await refusal(stripe.paymentIntents.confirm(open.id, { payment_method: card }))).param).toBe(
      'payment_method',
    )
    expect((await refusal(pay(stripe, card))).param).toBe('source')
  })

  test.each([
    [
      'setup_future_usage and off_session',
      { setup_future_usage: 'off_session', off_session: true },
      'off_session',
    ],
    [
      'setup_future_usage and stored_credential_usage',
      {
        setup_future_usage: 'off_session',
        payment_method_options: { card: { stored_credential_usage: 'unscheduled' } },
      },
      'payment_method_options[card][stored_credential_usage]',
    ],
    [
      'redirects without an address to return to',
      { automatic_payment_methods: { enabled: true } },
      undefined,
    ],
  ] as const)('%s do not go together', async (_, params, param) => {
    const { stripe } = await bench()
    const error = await refusal(pay(stripe, 'pm_card_visa', params))
    expect([error.statusCode, error.param]).toEqual([400, param])
  })

  test('an intent without a card uses the default card of its customer', async () => {
    const { stripe } = await bench()
    const { id: customer } = await stripe.customers.create()
    const { id: card } = await stripe.paymentMethods.attach('pm_card_visa', { customer })
    await stripe.customers.update(customer, { invoice_settings: { default_payment_method: card } })
    const intent = await stripe.paymentIntents.create({ ...payment, customer })
    expect(intent).toMatchObject({ status: 'succeeded', payment_method: card })
  })
})

describe('setup intents', () => {
  test('a card is set up, attached and announced', async () => {
    const { stripe } = await bench()
    const customer = (await stripe.customers.create()).id
    const intent = await stripe.setupIntents.create({
      customer,
      payment_method: 'pm_card_visa',
      confirm: true,
    })
    expect(intent.status).toBe('succeeded')
    expect((await stripe.customers.listPaymentMethods(customer)).data).toHaveLength(1)
    expect(await eventTypes(stripe)).toEqual([
      'customer.created',
      'setup_intent.created',
      'payment_method.attached',
      'setup_intent.succeeded',
    ])
  })

  test('3-D Secure sets a card up for off-session payments', async () => {
    const { double, stripe } = await bench()
    const customer = (await stripe.customers.create()).id
    const intent = await stripe.setupIntents.create({
      customer,
      payment_method: 'pm_card_authenticationRequiredOnSetup',
      confirm: true,
    })
    expect(intent.status).toBe('requires_action')
    double.authenticate({ paymentIntent: intent.id, outcome: 'succeed' })
    const method = (await stripe.setupIntents.retrieve(intent.id)).payment_method as string
    expect((await pay(stripe, method, { customer, off_session: true })).status).toBe('succeeded')
  })

  test('a declined card fails the intent, and a canceled intent stays canceled', async () => {
    const { stripe } = await bench()
    const error = await refusal(
      stripe.setupIntents.create({ payment_method: 'pm_card_visa_chargeDeclined', confirm: true }),
    )
    expect(error.setup_intent).toMatchObject({ status: 'requires_payment_method' })
    const { id } = await stripe.setupIntents.create()
    await stripe.setupIntents.cancel(id)
    expect((await refusal(stripe.setupIntents.confirm(id, { payment_method: 'pm_card_visa' }))).code).toBe(
      'setup_intent_unexpected_state',
    )
    expect(await eventTypes(stripe)).toContain('setup_intent.setup_failed')
  })
})

describe('refunds', () => {
  test('refunds add up to the amount of the charge and no further', async () => {
    const { stripe } = await bench()
    const { id, latest_charge: charge } = await pay(stripe, 'pm_card_visa')
    await stripe.refunds.create({ payment_intent: id, amount: 400, reason: 'requested_by_customer' })
    expect((await refusal(stripe.refunds.create({ payment_intent: id, amount: 600 }))).param).toBe('amount')
    expect(await stripe.refunds.create({ charge: charge as string })).toMatchObject({ amount: 599 })
    expect((await refusal(stripe.refunds.create({ payment_intent: id }))).code).toBe(
      'charge_already_refunded',
    )
    expect(await stripe.charges.retrieve(charge as string)).toMatchObject({
      amount_refunded: 999,
      refunded: true,
    })
    expect((await eventTypes(stripe)).slice(3)).toEqual([
      'refund.created',
      'charge.refunded',
      'refund.created',
      'charge.refunded',
    ])
  })

  test('a hold or an unknown payment cannot be refunded', async () => {
    const { stripe } = await bench()
    const held = await stripe.paymentIntents.create({ ...hold, payment_method: 'pm_card_visa' })
    const open = await pay(stripe, 'pm_card_visa', { confirm: false })
    for (const id of [held.id, open.id, 'pi_x']) {
      expect((await refusal(stripe.refunds.create({ payment_intent: id }))).statusCode).toBe(400)
    }
  })

  test('a pending refund succeeds five seconds later', async () => {
    const { stripe, clock } = await bench()
    const { id } = await pay(stripe, 'pm_card_pendingRefund')
    const refund = await stripe.refunds.create({ payment_intent: id })
    expect(refund).toMatchObject({ status: 'pending', pending_reason: 'processing' })
    clock.nowMs += 4999
    expect((await stripe.refunds.retrieve(refund.id)).status).toBe('pending')
    clock.nowMs += 1
    expect((await stripe.refunds.retrieve(refund.id)).status).toBe('succeeded')
    expect((await eventTypes(stripe)).slice(-2)).toEqual(['refund.updated', 'charge.refund.updated'])
  })

  test('a failing refund succeeds first, then fails, and the money counts as taken again', async () => {
    const { stripe, clock } = await bench()
    const { id, latest_charge: charge } = await pay(stripe, 'pm_card_refundFail')
    const refund = await stripe.refunds.create({ payment_intent: id })
    expect(refund.status).toBe('succeeded')
    clock.nowMs += 5000
    expect(await stripe.refunds.retrieve(refund.id)).toMatchObject({
      status: 'failed',
      failure_reason: expect.any(String),
    })
    expect(await stripe.charges.retrieve(charge as string)).toMatchObject({
      amount_refunded: 0,
      refunded: false,
    })
    expect(await eventTypes(stripe)).toContain('refund.failed')
  })

  test('a full refund settles a fraud warning', async () => {
    const { stripe } = await bench()
    const { id } = await pay(stripe, 'pm_card_createIssuerFraudRecord')
    const warning = async () => (await stripe.radar.earlyFraudWarnings.list({ payment_intent: id })).data[0]
    expect(await warning()).toMatchObject({ actionable: true })
    await stripe.refunds.create({ payment_intent: id })
    expect(await warning()).toMatchObject({ actionable: false })
    expect(await eventTypes(stripe)).toEqual(
      expect.arrayContaining(['radar.early_fraud_warning.created', 'radar.early_fraud_warning.updated']),
    )
  })
})

describe('disputes', () => {
  const disputed = async (stripe: Stripe, name = 'pm_card_createDispute') => {
    const { id } = await pay(stripe, name)
    const { data } = await stripe.disputes.list({ payment_intent: id })
    return data[0]!
  }

  test('a chargeback takes the money at once, and forbids a refund', async () => {
    const { stripe } = await bench()
    const dispute = await disputed(stripe)
    expect(dispute).toMatchObject({ status: 'needs_response', amount: 999, is_charge_refundable: false })
    expect(await stripe.charges.retrieve(dispute.charge as string)).toMatchObject({ disputed: true })
    const error = await refusal(stripe.refunds.create({ charge: dispute.charge as string }))
    expect(error.code).toBe('charge_disputed')
    expect(await eventTypes(stripe)).toEqual([
      'payment_intent.created',
      'charge.succeeded',
      'charge.dispute.created',
      'charge.dispute.funds_withdrawn',
      'payment_intent.succeeded',
    ])
  })

  test.each([
    ['winning_evidence', 'won', ['charge.dispute.closed', 'charge.dispute.funds_reinstated']],
    ['losing_evidence', 'lost', ['charge.dispute.updated', 'charge.dispute.closed']],
  ])('%s: under review, and %s five seconds later', async (text, verdict, last) => {
    const { stripe, clock } = await bench()
    const { id } = await disputed(stripe)
    const reviewed = await stripe.disputes.update(id, { evidence: { uncategorized_text: text } })
    expect(reviewed.status).toBe('under_review')
    clock.nowMs += 5000
    expect((await stripe.disputes.retrieve(id)).status).toBe(verdict)
    expect((await eventTypes(stripe)).slice(-2)).toEqual(last)
    expect((await refusal(stripe.disputes.close(id))).message).toContain('already closed')
  })

  test('evidence that is not submitted has no effect', async () => {
    const { stripe, clock } = await bench()
    const { id } = await disputed(stripe)
    await stripe.disputes.update(id, { evidence: { uncategorized_text: 'losing_evidence' }, submit: false })
    clock.nowMs += hourMs
    expect((await stripe.disputes.retrieve(id)).status).toBe('needs_response')
  })

  test('an inquiry takes no money, its charge can be refunded, and it closes without a loss', async () => {
    const { stripe } = await bench()
    const dispute = await disputed(stripe, 'pm_card_createDisputeInquiry')
    expect(dispute).toMatchObject({ status: 'warning_needs_response', is_charge_refundable: true })
    await stripe.refunds.create({ charge: dispute.charge as string })
    expect((await stripe.disputes.close(dispute.id)).status).toBe('warning_closed')
    expect(await eventTypes(stripe)).not.toContain('charge.dispute.funds_withdrawn')
  })
})

describe('lists', () => {
  test('pages go forwards and backwards, newest first', async () => {
    const { stripe } = await bench()
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.unshift((await stripe.customers.create()).id)
    const idsOf = (list: Stripe.ApiList<Stripe.Customer>) => list.data.map((each) => each.id)
    const first = await stripe.customers.list({ limit: 2 })
    expect([idsOf(first), first.has_more]).toEqual([ids.slice(0, 2), true])
    const last = await stripe.customers.list({ limit: 3, starting_after: ids[1]! })
    expect([idsOf(last), last.has_more]).toEqual([ids.slice(2), false])
    const back = await stripe.customers.list({ limit: 2, ending_before: ids[4]! })
    expect([idsOf(back), back.has_more]).toEqual([ids.slice(2, 4), true])
    expect((await refusal(stripe.customers.list({ starting_after: 'cus_x' }))).statusCode).toBe(400)
  })

  test('lists are filtered by time to the second', async () => {
    const { stripe, clock } = await bench()
    const { created } = await stripe.customers.create()
    clock.nowMs += 1000
    await stripe.customers.create()
    const count = async (range: Stripe.RangeQueryParam | number) =>
      (await stripe.customers.list({ created: range })).data.length
    expect(await count({ gte: created })).toBe(2)
    expect(await count({ gt: created })).toBe(1)
    expect(await count({ lt: created + 1 })).toBe(1)
    expect(await count({ lte: created + 1 })).toBe(2)
    expect(await count(created)).toBe(1)
  })

  test('objects are expanded on request, also in lists; other properties are refused', async () => {
    const { stripe } = await bench()
    const customer = await stripe.customers.create()
    const { id } = await pay(stripe, await fresh(stripe), {
      customer: customer.id,
      setup_future_usage: 'off_session',
    })
    const intent = await stripe.paymentIntents.retrieve(id, {
      expand: ['customer', 'latest_charge.refunds', 'payment_method.customer'],
    })
    expect(intent).toMatchObject({
      customer: { object: 'customer' },
      latest_charge: { object: 'charge', refunds: { object: 'list', data: [] } },
      payment_method: { customer: { id: customer.id } },
    })
    const list = await stripe.paymentIntents.list({ expand: ['data.latest_charge'] })
    expect(list.data[0]?.latest_charge).toMatchObject({ object: 'charge' })
    expect((await stripe.paymentIntents.retrieve(id)).latest_charge).toMatch(/^ch_/)
    expect((await refusal(stripe.paymentIntents.retrieve(id, { expand: ['colour'] }))).param).toBe('expand')
  })

  test('events are listed by type and by group, and show the object as it was', async () => {
    const { stripe } = await bench()
    const { id } = await stripe.customers.create({ name: 'Ada' })
    await stripe.customers.update(id, { name: 'Bob' })
    const [created] = (await stripe.events.list({ types: ['customer.created'] })).data
    expect(created?.data.object).toMatchObject({ name: 'Ada' })
    expect((await stripe.events.list({ type: 'customer.*' })).data).toHaveLength(2)
    expect((await stripe.events.list({ type: 'charge.*' })).data).toEqual([])
    expect((await stripe.events.retrieve(created!.id)).request).toMatchObject({ id: /^req_/ })
  })

  test('events are deleted after 30 days', async () => {
    const { stripe, clock } = await bench()
    await stripe.customers.create()
    clock.nowMs += 30 * dayMs + 1000
    await stripe.customers.create()
    expect(await eventTypes(stripe)).toHaveLength(1)
  })
})

interface Received {
  type: string
  id: string
  body: string
  signature: string
}

/** A webhook endpoint that records what it receives and answers with the status in `answer`. */
async function endpoint(): Promise<{ url: string; received: Received[]; answer: { status: number } }> {
  const received: Received[] = []
  const answer = { status: 200 }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const { type, id } = JSON.parse(body)
      received.push({ type, id, body, signature: String(request.headers['stripe-signature']) })
      response.writeHead(answer.status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ close: () => server.close().closeAllConnections() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received, answer }
}

const typesOf = (received: Received[]) => received.map((each) => each.type)

describe('webhooks', () => {
  test('events arrive in order, each signed over its exact bytes and time of delivery', async () => {
    const { url, received } = await endpoint()
    const { double, stripe, clock } = await bench({ webhookUrl: url })
    await pay(stripe, 'pm_card_visa')
    await vi.waitFor(() => expect(received).toHaveLength(3))
    expect(typesOf(received)).toEqual(await eventTypes(stripe))
    const { body, signature } = received[0]!
    const t = clock.nowMs / 1000
    const v1 = createHmac('sha256', double.webhookSecret).update(`${t}.${body}`).digest('hex')
    expect(signature).toBe(`t=${t},v1=${v1}`)
    expect(
      stripe.webhooks.constructEvent(body, signature, double.webhookSecret, 300, undefined, clock.nowMs).id,
    ).toBe(received[0]?.id)
    expect(JSON.stringify(JSON.parse(body))).not.toBe(body)
    expect(double.pendingWebhooks()).toBe(0)
  })

  test('an event that is not accepted is retried at growing intervals for three days', async () => {
    const { url, received, answer } = await endpoint()
    const { double, stripe, clock } = await bench({ webhookUrl: url })
    answer.status = 500
    await stripe.customers.create()
    await double.flushWebhooks()
    expect(received).toHaveLength(1)
    clock.nowMs += minuteMs - 1
    await double.flushWebhooks()
    expect(received).toHaveLength(1)
    clock.nowMs += 1
    await double.flushWebhooks()
    expect(received).toHaveLength(2)
    clock.nowMs += 5 * minuteMs
    answer.status = 204
    await double.flushWebhooks()
    expect(received).toHaveLength(3)
    expect(new Set(received.map((each) => each.id)).size).toBe(1)
    expect(new Set(received.map((each) => each.signature)).size).toBe(3)
    clock.nowMs += dayMs
    await double.flushWebhooks()
    expect(received).toHaveLength(3)

    answer.status = 500
    await stripe.customers.create()
    for (let hours = 0; hours < 96; hours += 1) {
      await double.flushWebhooks()
      clock.nowMs += hourMs
    }
    expect(double.pendingWebhooks()).toBe(0)
    expect(received.length - 3).toBeGreaterThan(8)
  })

  test('an event without an answer does not delay the others', async () => {
    const { url, received } = await endpoint()
    let target = 'http://127.0.0.1:9/closed'
    const { double, stripe, clock } = await bench({ webhookUrl: () => target })
    await stripe.customers.create({ name: 'first' })
    await double.flushWebhooks()
    target = url
    await stripe.customers.create({ name: 'second' })
    await double.flushWebhooks()
    expect(received).toHaveLength(1)
    expect(double.pendingWebhooks()).toBe(1)
    clock.nowMs += minuteMs
    await double.flushWebhooks()
    expect(received.map((each) => JSON.parse(each.body).data.object.name)).toEqual(['second', 'first'])
  })

  test('faults duplicate, reorder and drop events; a dropped event stays lost', async () => {
    const { url, received } = await endpoint()
    const { double, stripe } = await bench({ webhookUrl: url })
    double.addFault({ fault: 'drop-webhooks', match: 'POST /v1/customers$', times: 1 })
    double.addFault({ fault: 'duplicate-webhooks', match: 'POST /v1/customers/*$' })
    const { id } = await stripe.customers.create()
    await stripe.customers.update(id, { name: 'Ada' })
    await double.flushWebhooks()
    expect(typesOf(received)).toEqual(['customer.updated', 'customer.updated'])
    double.clearFaults()
    await double.flushWebhooks()
    expect(received).toHaveLength(2)

    double.addFault({ fault: 'reorder-webhooks' })
    await pay(stripe, 'pm_card_visa')
    await double.flushWebhooks()
    expect(typesOf(received.slice(2))).toEqual([
      'payment_intent.succeeded',
      'charge.succeeded',
      'payment_intent.created',
    ])
    expect(await eventTypes(stripe)).toHaveLength(5)
  })

  test('reordered events arrive a second later without a flush', async () => {
    const { url, received } = await endpoint()
    const { double, stripe, clock } = await bench({ webhookUrl: url })
    double.addFault({ fault: 'reorder-webhooks', times: 1 })
    await stripe.customers.create({ name: 'held back' })
    await stripe.customers.create({ name: 'overtakes' })
    await vi.waitFor(() => expect(received).toHaveLength(1))
    clock.nowMs += 1000
    await vi.waitFor(() => expect(received).toHaveLength(2))
    expect(received.map((each) => JSON.parse(each.body).data.object.name)).toEqual(['overtakes', 'held back'])
  })

  test('scheduled actions of Stripe send their events when they are due', async () => {
    const { url, received } = await endpoint()
    const { stripe, clock } = await bench({ webhookUrl: url })
    const { id } = await pay(stripe, 'pm_card_pendingRefund')
    await stripe.refunds.create({ payment_intent: id })
    clock.nowMs += 5000
    await vi.waitFor(() => expect(typesOf(received)).toContain('refund.updated'))
  })

  test('with manual delivery events arrive only by a flush', async () => {
    const { url, received } = await endpoint()
    const { double, stripe, clock } = await bench({ webhookUrl: url, delivery: 'manual' })
    await pay(stripe, 'pm_card_pendingRefund')
    clock.nowMs += hourMs
    await stripe.customers.list()
    expect([received.length, double.pendingWebhooks()]).toEqual([0, 3])
    await double.flushWebhooks()
    expect([received.length, double.pendingWebhooks()]).toEqual([3, 0])
  })

  test('without an endpoint events are kept and nothing waits', async () => {
    const { double, stripe } = await bench()
    await stripe.customers.create()
    expect(double.pendingWebhooks()).toBe(0)
    expect(await eventTypes(stripe)).toEqual(['customer.created'])
  })
})

describe('state', () => {
  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), 'stripe-double-'))
    open.push({ close: () => rmSync(path, { recursive: true }) })
    return path
  }

  test('all that was answered survives kill -9: objects, keys, cards, events, the secret', async () => {
    const stateFile = join(folder(), 'stripe.json')
    const killed = join(folder(), 'killed.json')
    const { url, received, answer } = await endpoint()
    answer.status = 500
    const before = await bench({ stateFile, webhookUrl: url })
    const customer = await before.stripe.customers.create({}, { idempotencyKey: 'k' })
    const method = await before.stripe.paymentMethods.attach('pm_card_refundFail', { customer: customer.id })
    const paid = await pay(before.stripe, method.id, { customer: customer.id })
    await before.double.flushWebhooks()
    copyFileSync(stateFile, killed)
    const delivered = received.length

    answer.status = 200
    const after = await bench({ stateFile: killed, webhookUrl: url })
    expect(after.double.webhookSecret).toBe(before.double.webhookSecret)
    expect((await after.stripe.customers.create({}, { idempotencyKey: 'k' })).id).toBe(customer.id)
    expect(await after.stripe.paymentIntents.retrieve(paid.id)).toMatchObject({ status: 'succeeded' })
    after.clock.nowMs += minuteMs
    await after.double.flushWebhooks()
    expect(typesOf(received.slice(delivered))).toEqual([
      'customer.created',
      'payment_method.attached',
      'payment_intent.created',
      'charge.succeeded',
      'payment_intent.succeeded',
    ])
    const refund = await after.stripe.refunds.create({ payment_intent: paid.id })
    after.clock.nowMs += minuteMs
    expect((await after.stripe.refunds.retrieve(refund.id)).status).toBe('failed')
  })

  test('events older than 30 days and keys older than a day are removed from the file', async () => {
    const stateFile = join(folder(), 'stripe.json')
    const before = await bench({ stateFile })
    await before.stripe.customers.create()
    const kept = () => JSON.parse(readFileSync(stateFile, 'utf8'))
    expect([Object.keys(kept().events), Object.keys(kept().replies)]).toMatchObject([
      { length: 1 },
      { length: 1 },
    ])
    const nowMs = before.clock.nowMs + 31 * dayMs
    const { stripe } = await bench({ stateFile, nowMs: () => nowMs })
    await stripe.customers.list()
    expect(kept()).toMatchObject({ events: {}, replies: {} })
    expect(Object.keys(kept().customers)).toHaveLength(1)
  })

  test('a reply that was lost is in the file', async () => {
    const stateFile = join(folder(), 'stripe.json')
    const { double, stripe } = await bench({ stateFile })
    double.addFault({ fault: 'lose-reply-after-commit' })
    await expect(raw(double, 'POST', '/v1/customers')).rejects.toThrow()
    expect(Object.keys(JSON.parse(readFileSync(stateFile, 'utf8')).customers)).toHaveLength(1)
    double.clearFaults()
    expect((await stripe.customers.list()).data).toHaveLength(1)
  })
})
