import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { buy, mailsTo, newBuyer, noticesOf, paymentsOf, refund, shown, spendTo } from '../support/buyers.ts'
import { defaultKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { type Consumer, consume, consumeBatch } from '../support/quota.ts'

const app = await startApp()
beforeEach(app.startAfresh)
afterEach(() => {
  app.stack.dynamo.clearFaults()
  app.stack.events.clearFaults()
})

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS

const choose = ({ accessToken: token }: SignedInPerson, ...below: unknown[]) =>
  app.request('PUT', '/v1/user/alerts', { token, json: { alerts: below.map((each) => ({ below: each })) } })

/** A person with the 100 units of the trial. */
async function onTrial(): Promise<Consumer> {
  const person = await app.signUp()
  return { ...person, key: await defaultKey(app, person) }
}

/** Runs both jobs that alerts need. */
async function jobs() {
  await app.job('check-quotas')
  return app.job('tell-alerts')
}

const details = () =>
  app.stack.events.events().map(({ detail }) => detail as { id: string; threshold: number; left: number })

/** The alerts of which each of the three ways has told. */
async function told(person: SignedInPerson) {
  const notices = (await noticesOf(app, person)).filter((type) => type === 'quota_alert').length
  const mails = (await mailsTo(app, person)).filter((subject) => subject.startsWith('Fewer than')).length
  return { notices, mails, events: details().length }
}
const times = (count: number) => ({ notices: count, mails: count, events: count })

describe('an alert', () => {
  test('comes by notice, mail and event below its threshold, once, and not at it', async () => {
    const person = await newBuyer(app)
    await choose(person, 500)
    await spendTo(app, person, 500)
    await jobs()
    expect(await told(person)).toEqual(times(0))
    await consume(app, person.key, { units: 20 })
    expect(await jobs()).toEqual({ done: 1, failed: 0 })
    for (const units of [1, 100]) {
      await consume(app, person.key, { units })
      expect(await jobs()).toEqual({ done: 0, failed: 0 })
    }
    expect(await told(person)).toEqual(times(1))
    const { accountId, accessToken: token } = person
    expect(app.stack.events.events()).toEqual([
      {
        ...{ id: expect.any(String), source: 'bursar', time: expect.any(String) },
        'detail-type': 'bursar.quota_alert',
        detail: {
          version: 1,
          id: expect.any(String),
          accountId,
          threshold: 500,
          left: 480,
          atMs: Date.now(),
        },
      },
    ])
    const { body } = await app.request('GET', '/api/users/current/notifications', { token })
    expect(body[0].message).toBe(
      'Fewer than 500 units are left. You asked us to tell you when fewer than 500 units are left. This has been so since 2026-11-21 12:00 UTC, and when we looked, 480 units were left. Once no unit is left, requests that use your keys are refused. To go on without a gap, refill your bundle or switch auto-renewal on. We will tell you again if this happens after more units have been added.',
    )
  })

  test('of a share follows the bundle, and each of those that one request crosses is told', async () => {
    const person = await newBuyer(app)
    await choose(person, '50%', '20%', 300, '1%')
    await spendTo(app, person, 100)
    await jobs()
    expect(
      details()
        .map(({ threshold, left }) => [threshold, left])
        .sort(),
    ).toEqual([
      [200, 100],
      [300, 100],
      [500, 100],
    ])
    expect(await told(person)).toEqual(times(3))
  })

  test('comes before the first bundle, of a batch and of a reservation too', async () => {
    const crossings = [
      (key: string) => consumeBatch(app, key, [{ units: 30 }, { units: 30 }]),
      (key: string) => app.request('POST', '/v1/usage/reservations', { token: key, json: { units: 60 } }),
    ]
    for (const [at, cross] of crossings.entries()) {
      const person = await onTrial()
      await choose(person, 50)
      await cross(person.key)
      await jobs()
      expect(await told(person)).toEqual({ notices: 1, mails: 1, events: at + 1 })
    }
  })

  test('comes again after a credit, even if nobody was told before the credit', async () => {
    const person = await newBuyer(app)
    await choose(person, 500)
    await spendTo(app, person, 499)
    await buy(app, person)
    await spendTo(app, person, 450)
    await jobs()
    expect(new Set(details().map(({ left }) => left))).toEqual(new Set([499, 450]))
    expect(new Set(details().map(({ id }) => id)).size).toBe(2)
    expect(await told(person)).toEqual(times(2))
  })

  test('does not come again for units that return from reservations', async () => {
    const person = await onTrial()
    await choose(person, 50)
    for (let n = 0; n < 3; n++) {
      const { body } = await app.request('POST', '/v1/usage/reservations', {
        token: person.key,
        json: { units: 60 },
      })
      await jobs()
      await app.request('DELETE', `/v1/usage/reservations/${body.id}`, { token: person.key })
      await jobs()
    }
    expect(await told(person)).toEqual(times(1))
    expect((await shown(app, person)).alerts).toEqual([{ below: 50, armed: false }])
  })

  test('comes for units that a refund takes back', async () => {
    const person = await newBuyer(app)
    await choose(person, 500)
    const [payment] = await paymentsOf(app, person)
    if (!payment) throw new Error('no payment')
    await refund(app, payment)
    await app.job('sweep')
    await jobs()
    expect(await told(person)).toEqual(times(1))
  })

  test('that its owner has removed is told by no mail, and one chosen again is another one', async () => {
    const person = await onTrial()
    await choose(person, 50)
    await consume(app, person.key, { units: 60 })
    await choose(person)
    await jobs()
    expect(await told(person)).toEqual({ notices: 1, mails: 0, events: 1 })
    await choose(person, 50, 30)
    await consume(app, person.key, { units: 30 })
    await jobs()
    expect(details().map(({ threshold }) => threshold)).toEqual([50, 30])
  })

  test('does not keep a bundle from renewing, nor the notice below 10 % from coming', async () => {
    const person = await newBuyer(app)
    await choose(person, 5, '50%')
    await spendTo(app, person, 4)
    await jobs()
    await jobs()
    expect(await noticesOf(app, person)).toEqual(
      expect.arrayContaining(['low_quota', 'quota_alert', 'quota_alert', 'renewed']),
    )
    expect(await told(person)).toEqual(times(2))
    expect((await shown(app, person)).alerts.every(({ armed }: { armed: boolean }) => armed)).toBe(true)
  })
})

describe('once each', () => {
  test('from concurrent runs', async () => {
    const person = await onTrial()
    await choose(person, 50, 60)
    await consume(app, person.key, { units: 60 })
    await Promise.all([jobs(), jobs(), app.job('check-quotas')])
    await jobs()
    expect(await told(person)).toMatchObject({ notices: 2, mails: 2 })
    expect(new Set(details().map(({ id }) => id)).size).toBe(2)
  })

  test.each([
    ['dynamo', 'lose-reply-after-commit', 'TransactWriteItems'],
    ['events', 'error-before', 'PutEvents'],
    ['events', 'lose-reply-after-commit', 'PutEvents'],
  ] as const)('after the fault %s %s %s', async (double, fault, match) => {
    const person = await onTrial()
    await choose(person, 50)
    await consume(app, person.key, { units: 60 })
    app.stack[double].addFault({ fault, match, times: 4 } as never)
    await app.job('check-quotas').catch(() => {})
    await app.job('tell-alerts').catch(() => {})
    app.stack[double].clearFaults()
    for (let minutes = 0; minutes < 3; minutes++) {
      app.advance(MINUTE_MS)
      await jobs()
    }
    expect(await told(person)).toMatchObject({ notices: 1, mails: 1 })
    // An event may come twice, with the same id.
    expect(new Set(details().map(({ id }) => id)).size).toBe(1)
  })
})
