import { describe, expect, test } from 'vitest'
import { DAY_MS } from '../../core/time.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { consume, consumeBatch, counterOf, newConsumer, uuidv7 } from '../support/quota.ts'
import { expectContract, expectError } from './contract.ts'

const app = await startApp()
// Noon, so that no day ends in between.
app.advance(1.5 * DAY_MS - (Date.now() % DAY_MS))

const balance = (key: string) => app.request('GET', '/v1/usage/balance', { token: key })
const reserve = (key: string, json: object) =>
  app.request('POST', '/v1/usage/reservations', { token: key, json })

/** A person with a further key that has these limits, and the default key that has none. */
async function withLimits(limits: object, left = 1000) {
  const person = await newConsumer(app, left)
  const { id, key } = await createKey(app, person, 'limited', limits)
  const change = (json: object) => app.request('PUT', `/v1/keys/${id}`, { token: person.accessToken, json })
  return { person, id, key, change }
}

/** Seconds until the end of the day, as Retry-After has it. */
const untilMidnight = () => Math.ceil((DAY_MS - (Date.now() % DAY_MS)) / 1000)

describe('a budget', () => {
  test('is used to its last unit: then 402 with what is left of it, until the period ends', async () => {
    const { person, key } = await withLimits({ budget: { units: 50, per: 'day' } })
    expect((await consume(app, key, { units: 20 })).body).toMatchObject({ left: 980, used: 20, keyLeft: 30 })
    const refused = await consume(app, key, { units: 31 })
    expectError(v1.consume, refused, 'key_budget_exhausted')
    expect(refused.body).toMatchObject({ left: 980, used: 20, needed: 31, keyLeft: 30 })
    expect(Math.abs(Number(refused.headers.get('retry-after')) - untilMidnight())).toBeLessThanOrEqual(1)
    expect((await consume(app, key, { units: 30 })).body).toMatchObject({ left: 950, keyLeft: 0 })
    // Another key of the account has none.
    expect((await consume(app, person.key, { units: 100 })).body).toMatchObject({ left: 850 })
    expect((await balance(key)).body).toMatchObject({ left: 850, keyLeft: 0 })
    expect((await consume(app, key, { units: 0 })).body).toMatchObject({ keyLeft: 0 })
  })

  test('is also told where the account has too few units', async () => {
    const { key } = await withLimits({ budget: { units: 500, per: 'month' } }, 10)
    const refused = await consume(app, key, { units: 11 })
    expectError(v1.consume, refused, 'quota_exhausted')
    expect(refused.body.keyLeft).toBe(500)
  })

  test('that is smaller than the request, or is for good, has no Retry-After', async () => {
    const { key, change } = await withLimits({ budget: { units: 50, per: 'day' } })
    const larger = await consume(app, key, { units: 51 })
    expectError(v1.consume, larger, 'key_budget_exhausted')
    expect([larger.headers.get('retry-after'), larger.body.detail]).toEqual([
      null,
      expect.stringContaining('a budget of 50 units'),
    ])
    await change({ budget: { units: 5, per: 'total' } })
    await consume(app, key, { units: 5, requestId: uuidv7() })
    const used = await consume(app, key, { units: 1, requestId: uuidv7() })
    expectError(v1.consume, used, 'key_budget_exhausted')
    expect(used.headers.get('retry-after')).toBe(null)
  })

  test('counts what is reserved, and gives back what returns', async () => {
    const { key } = await withLimits({ budget: { units: 50, per: 'day' } })
    const { body } = await reserve(key, { units: 40 })
    expect(body).toMatchObject({ units: 40, keyLeft: 10 })
    const refused = await reserve(key, { units: 11 })
    expectError(v1.reserve, refused, 'key_budget_exhausted')
    const settled = await app.request('POST', `/v1/usage/reservations/${body.id}/settle`, {
      token: key,
      json: { units: 60 },
    })
    expectContract(v1.settleReservation, settled)
    expect(settled.body).toMatchObject({ units: 60, covered: 50, used: 50, keyLeft: 0 })
  })

  test('of the default key can be set, counts what it has used and holds, and can be removed', async () => {
    const person = await newConsumer(app, 1000)
    await consume(app, person.key, { units: 7 })
    const held = await reserve(person.key, { units: 5 })
    expect(held.status).toBe(201)
    const set = await app.request('PUT', '/v1/keys/default', {
      token: person.accessToken,
      json: { budget: { units: 20, per: 'total' }, rate: { unitsPerSecond: 1, burst: 100 } },
    })
    expect(set.status).toBe(200)
    expect(await counterOf(app, person)).toMatchObject({ p0: 12, t0: 0 })
    expect((await consume(app, person.key, { units: 8 })).body).toMatchObject({ keyLeft: 0 })
    const removed = await app.request('PUT', '/v1/keys/default', {
      token: person.accessToken,
      json: { budget: null, rate: null },
    })
    expect(removed.status).toBe(200)
    const counter = await counterOf(app, person)
    expect([counter.p0, counter.t0]).toEqual([undefined, undefined])
  })

  test('goes with its key', async () => {
    const { person, id } = await withLimits({
      budget: { units: 20, per: 'total' },
      rate: { unitsPerSecond: 1, burst: 100 },
    })
    expect(await counterOf(app, person)).toMatchObject({ p1: 0, t1: 0 })
    await app.request('DELETE', `/v1/keys/${id}`, { token: person.accessToken })
    const counter = await counterOf(app, person)
    expect([counter.p1, counter.t1, counter.h1]).toEqual([undefined, undefined, undefined])
  })
})

test('a lease has what the limits of its key leave, and a renewal settles even if they leave nothing', async () => {
  const post = (key: string, path: string, json: object) =>
    app.request('POST', `/v1/usage/leases${path}`, { token: key, json })
  const rate = { unitsPerSecond: 0.001, burst: 40 }
  const { person, key } = await withLimits({ budget: { units: 60, per: 'day' }, rate })
  const lease = await post(key, '', { units: 500 })
  expectContract(v1.lease, lease)
  expect(lease.body).toMatchObject({ units: 40, left: 960, keyLeft: 20 })
  expect(lease.headers.get('ratelimit')).toMatch(/^"key";r=0;/)
  const refused = await post(key, '', { units: 500 })
  expectError(v1.lease, refused, 'rate_limited')
  expect(refused.body).toMatchObject({ left: 960, needed: 1, keyLeft: 20 })
  // The limits are those of the key that made the lease, whichever key reports.
  const renewed = await post(person.key, `/${lease.body.id}/renew`, { units: 500, use: [{ units: 55 }] })
  expectContract(v1.renewLease, renewed)
  expect(renewed.body).toMatchObject({ covered: 55, units: 0, left: 945, used: 55 })
  expect(renewed.body).not.toHaveProperty('keyLeft')
  expect((await balance(key)).body).toMatchObject({ left: 945, keyLeft: 5 })
  const { key: other } = await withLimits({ budget: { units: 10, per: 'day' } })
  const whole = await post(other, '', { units: 11 })
  expect(whole.body).toMatchObject({ units: 10, keyLeft: 0 })
  expectError(v1.lease, await post(other, '', { units: 1 }), 'key_budget_exhausted')
  const next = await post(other, `/${whole.body.id}/renew`, { units: 10, use: [{ units: 8 }] })
  expect(next.body).toMatchObject({ covered: 8, units: 2, keyLeft: 0 })
  const ended = await post(other, `/${next.body.id}/return`, { use: [{ units: 1 }] })
  expect(ended.body).toMatchObject({ covered: 1, units: 0, keyLeft: 1 })
})

describe('a rate limit', () => {
  const policy = '"key";q=10;w=10000'
  const rate = { unitsPerSecond: 0.001, burst: 10 }

  test('200 and 429 say where the key stands, and 429 when to try again', async () => {
    const { person, key } = await withLimits({ rate })
    const first = await consume(app, key, { units: 4 })
    const headersOf = ({ headers }: typeof first) =>
      ['ratelimit-policy', 'ratelimit', 'retry-after'].map((name) => headers.get(name))
    expect(headersOf(first)).toEqual([policy, expect.stringMatching(/^"key";r=6;t=(1000|9\d\d)$/), null])
    const refused = await consume(app, key, { units: 7 })
    expectError(v1.consume, refused, 'rate_limited')
    expect(refused.body).toMatchObject({ left: 996, used: 4, needed: 7 })
    expect(headersOf(refused)).toEqual([
      policy,
      expect.stringMatching(/^"key";r=6;t=(1000|9\d\d)$/),
      expect.stringMatching(/^(1000|9\d\d)$/),
    ])
    expect(headersOf(await balance(key)).slice(0, 2)).toEqual([policy, expect.stringContaining('r=6')])
    expect(headersOf(await reserve(key, { units: 6 })).slice(0, 2)).toEqual([
      policy,
      expect.stringContaining('r=0'),
    ])
    // Another key of the account has no limit.
    expect(headersOf(await consume(app, person.key, { units: 100 }))).toEqual([null, null, null])
  })

  test('403: more units than a burst never pass, and the answer says how many do', async () => {
    const { key } = await withLimits({ rate })
    const refused = await consume(app, key, { units: 11 })
    expectError(v1.consume, refused, 'over_burst')
    expect([refused.body.detail, refused.headers.get('retry-after')]).toEqual([
      expect.stringContaining('may use 10 units at once'),
      null,
    ])
  })

  test('refuses each request of a batch by itself, and the headers say where the key stands afterwards', async () => {
    const { key } = await withLimits({ rate, budget: { units: 9, per: 'day' } })
    const answer = await consumeBatch(app, key, [
      { units: 6 },
      { units: 5, requestId: 'a' },
      { units: 11 },
      { units: 3 },
      { units: 1 },
    ])
    expectContract(v1.consumeBatch, answer)
    const { answers } = answer.body
    expect(answers.map(({ status, keyLeft }: Record<string, unknown>) => [status, keyLeft])).toEqual([
      [200, 3],
      [402, 3],
      [403, 3],
      [200, 0],
      [402, 0],
    ])
    expect(answers[1]).toMatchObject({
      requestId: 'a',
      type: 'urn:bursar:problem:key_budget_exhausted',
      needed: 5,
      retryAfter: expect.any(Number),
    })
    expect(answer.headers.get('ratelimit')).toMatch(/^"key";r=1;t=/)
    const { body } = await consumeBatch(app, (await withLimits({ rate })).key, [{ units: 8 }, { units: 3 }])
    expect(body.answers[1]).toMatchObject({ status: 429, type: 'urn:bursar:problem:rate_limited' })
  })
})
