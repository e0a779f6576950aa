import { afterEach, describe, expect, test } from 'vitest'
import { type App, startApp } from '../support/app.ts'
import { buy, newBuyer } from '../support/buyers.ts'
import { type Consumer, consume, consumeBatch, counterOf, uuidv7 } from '../support/quota.ts'
import { reserve } from '../support/reservations.ts'
import type { TestAnswer } from '../support/send.ts'
import { atStripe, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)
afterEach(app.stack.dynamo.clearFaults)

/** A request that may be sent again, what it answers when it succeeds, and how often it took effect. */
interface Repeatable {
  send(app: App, person: Consumer, id: string): Promise<TestAnswer>
  success: number
  effects(person: Consumer): Promise<number>
}

const names: string[] = []

const spent = async (person: Consumer): Promise<number> => Number((await counterOf(app, person)).u)

const REPEATABLE: Record<string, Repeatable> = {
  'POST /v1/usage': {
    send: (at, { key }, requestId) => consume(at, key, { units: 1, requestId }),
    success: 200,
    effects: spent,
  },
  'POST /v1/usage/batch': {
    send: (at, { key }, requestId) => consumeBatch(at, key, [{ units: 1, requestId }]),
    success: 200,
    effects: spent,
  },
  'POST /v1/usage/reservations': {
    send: (at, { key }, requestId) => reserve(at, key, { units: 1, requestId }),
    success: 201,
    effects: async (person) => Number((await counterOf(app, person)).y ?? 0),
  },
  'POST /v1/user/buy': {
    send: (at, person, id) => buy(at, person, id),
    success: 201,
    effects: async (person) =>
      (await atStripe(app, person)).intents.filter(({ status }) => status === 'succeeded').length,
  },
  'PUT /api/users/current': {
    send: (at, { accessToken: token }, id) =>
      at.request('PUT', '/api/users/current', {
        token,
        json: { name: `Ada ${names.indexOf(id) < 0 ? names.push(id) : names.indexOf(id) + 1}` },
      }),
    success: 200,
    // Each name is another one: the last one is there, once.
    effects: async ({ accessToken: token }) =>
      Number((await app.request('GET', '/api/users/current', { token })).body.name.split(' ')[1] ?? 0),
  },
}

const FAULTS = ['conflict', 'throttle', 'error-before', 'lose-reply-after-commit'] as const
const TIMES = [1, 3, 50]
const OPERATIONS = [
  'GetItem',
  'Query',
  'PutItem',
  'UpdateItem',
  'DeleteItem',
  'BatchWriteItem',
  'TransactWriteItems',
]
const CONFLICTING = ['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems']

describe.each(Object.entries(REPEATABLE))('%s', (_, { send, success, effects }) => {
  test.each(FAULTS.flatMap((fault) => TIMES.map((times) => [fault, times] as const)))(
    '%s %d times, at each operation: the right answer or 503 with Retry-After, and done once in the end',
    async (fault, times) => {
      const person = await newBuyer(app)
      double.clearFaults()
      app.resetCalls()
      await send(app, person, uuidv7())
      const used = OPERATIONS.filter((operation) => app.calls().dynamodb[operation])
      for (const match of used.filter((each) => fault !== 'conflict' || CONFLICTING.includes(each))) {
        const id = uuidv7()
        const before = await effects(person)
        app.stack.dynamo.addFault({ fault, match, times })
        const { status, headers } = await send(app, person, id)
        app.stack.dynamo.clearFaults()
        expect([success, 202, 503], match).toContain(status)
        if (status === 503) expect(Number(headers.get('retry-after')), match).toBeGreaterThan(0)
        // What its request left open is settled when its time is over.
        app.advance(2 * 60_000)
        await app.job('settle-payments')
        const again = await send(app, person, id)
        expect([success, 202], match).toContain(again.status)
        if (success !== 200 || (await effects(person)) !== 1)
          expect(await effects(person), match).toBe(before + 1)
        app.advance(60_000)
      }
    },
    60_000,
  )
})
