import { afterEach, describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  ALWAYS_3DS,
  authenticate,
  changeTo,
  expectBooksAgree,
  expectNothingOpen,
  newBuyer,
  paymentsOf,
  shown,
  spendTo,
  unitsLeft,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { counterOf } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'
import { cardOnFile, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)
afterEach(() => double.clearFaults())

const CONFIRM = 'POST /v1/payment_intents/*/confirm'

function done(answer: TestAnswer): void {
  expect([answer.status, answer.text]).toEqual([204, ''])
  expectContract(v1.changeBundle, answer)
}

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.changeBundle, answer, code)
const nameOf = async (person: SignedInPerson) => (await shown(app, person)).bundle.name

test.each(['DEVELOPER', 'developer', 'Developer', 'dEvElOpEr'])(
  '204: a change to %s charges its price immediately and adds its units to those left',
  async (name) => {
    const person = await newBuyer(app)
    await spendTo(app, person, 400)
    done(await changeTo(app, person, name))
    expect((await shown(app, person)).bundle).toEqual({ name: 'DEVELOPER', quota: 100_400, price: 9.99 })
    expect((await paymentsOf(app, person)).map((each) => each.amount_received)).toEqual([99, 999])
    await expectBooksAgree(app, person)
  },
)

test('204: a change to a smaller bundle keeps the units left and uses the thresholds of the new bundle', async () => {
  const person = await newBuyer(app, { bundle: 'ENTERPRISE' })
  await spendTo(app, person, 9_000)
  done(await changeTo(app, person, 'starter'))
  expect((await shown(app, person)).bundle).toEqual({ name: 'STARTER', quota: 10_000, price: 0.99 })
  expect(await counterOf(app, person)).toMatchObject({ q: 1000, f: 100 })
  await expectBooksAgree(app, person)
})

test('204: a change and the change back are both charged', async () => {
  const person = await newBuyer(app)
  done(await changeTo(app, person, 'DEVELOPER'))
  done(await changeTo(app, person, 'STARTER'))
  expect((await paymentsOf(app, person)).map((each) => each.amount_received)).toEqual([99, 999, 99])
  expect(await unitsLeft(app, person)).toBe(102_100)
  await expectBooksAgree(app, person)
})

test('204: a concurrent second click and one shortly afterwards make no second charge', async () => {
  const person = await newBuyer(app)
  double.addFault({ fault: 'delay', match: CONFIRM, delayMs: 300, times: 1 })
  const answers = await Promise.all([changeTo(app, person, 'DEVELOPER'), changeTo(app, person, 'developer')])
  for (const answer of answers) done(answer)
  app.advance(9_999)
  done(await changeTo(app, person, 'DEVELOPER'))
  app.advance(60_000)
  done(await changeTo(app, person, 'DEVELOPER'))
  expect(await paymentsOf(app, person)).toHaveLength(2)
  refused(await changeTo(app, person, 'DEVELOPER', 'another-request'), 'bundle_held')
  await expectBooksAgree(app, person)
})

test('204: the same Idempotency-Key gets the same answer, even with the name in another case', async () => {
  const person = await newBuyer(app)
  done(await changeTo(app, person, 'DEVELOPER', 'k'))
  app.advance(60_000)
  done(await changeTo(app, person, 'developer', 'k'))
  refused(await changeTo(app, person, 'ENTERPRISE', 'k'), 'idempotency_key_reused')
  expect(await paymentsOf(app, person)).toHaveLength(2)
})

test('202: the bundle changes once the payment is settled, and not before', async () => {
  const person = await newBuyer(app)
  double.addFault({ fault: 'torn-body', match: CONFIRM })
  const answer = await changeTo(app, person, 'DEVELOPER')
  expect([answer.status, answer.body.status]).toEqual([202, 'pending'])
  expectContract(v1.changeBundle, answer)
  expect(await nameOf(person)).toBe('STARTER')
  double.clearFaults()
  await double.flushWebhooks()
  expect(await nameOf(person)).toBe('DEVELOPER')
  await expectBooksAgree(app, person)
})

describe('402', () => {
  test('a declined card: the bundle stays', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'decline', match: CONFIRM, times: 1 })
    refused(await changeTo(app, person, 'ENTERPRISE'), 'card_declined')
    await double.flushWebhooks()
    expect((await shown(app, person)).bundle).toMatchObject({ name: 'STARTER', quota: 1100 })
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
  })

  test('3-D Secure: the bundle changes once the customer has authenticated', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    refused(await changeTo(app, person, 'DEVELOPER'), 'payment_action_required')
    expect(await nameOf(person)).toBe('STARTER')
    await authenticate(app, person)
    expect((await shown(app, person)).bundle).toMatchObject({ name: 'DEVELOPER', quota: 101_100 })
    await expectBooksAgree(app, person)
  })
})

describe('409 and 400', () => {
  test('no_bundle before the first bundle', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    app.resetCalls()
    refused(await changeTo(app, person, 'DEVELOPER'), 'no_bundle')
    expect(app.calls().stripe).toEqual({})
  })

  test('bundle_held for the current bundle', async () => {
    const person = await newBuyer(app)
    app.resetCalls()
    refused(await changeTo(app, person, 'starter'), 'bundle_held')
    expect(app.calls().stripe).toEqual({})
  })

  test('another change while one with an unknown outcome is open', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: '500', match: CONFIRM })
    expect((await changeTo(app, person, 'DEVELOPER')).status).toBe(202)
    refused(await changeTo(app, person, 'ENTERPRISE'), 'purchase_open')
    double.clearFaults()
    await double.flushWebhooks()
    app.advance(60_000)
    await app.job('settle-payments')
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
  })
})
