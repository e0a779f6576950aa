import { expect, test } from 'vitest'
import { DAY_MS } from '../../core/time.ts'
import { isoDay } from '../../functions/http/time-shapes.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey, defaultKey, NO_SETTINGS } from '../support/keys.ts'
import { consume, newConsumer } from '../support/quota.ts'

const app = await startApp()

const list = (token: string) => app.request('GET', '/v1/keys', { token })

test('200: a new account has its default key, shown by its first eight and last four characters', async () => {
  const person = await app.signUp()
  const key = await defaultKey(app, person)
  const { status, body } = await list(person.accessToken)
  expect(status).toBe(200)
  expect(body).toEqual([
    {
      id: 'default',
      name: 'default',
      prefix: key.slice(0, 8),
      last4: key.slice(-4),
      createdAt: '2026-11-21T12:00:00.000Z',
      ...NO_SETTINGS,
      lastUsedDay: null,
    },
  ])
})

test('200: the default key first, then the others in the order of their creation, without their secrets', async () => {
  const person = await app.signUp()
  const made = []
  for (const name of ['zebra', 'ant', 'Ölbär ☂']) {
    app.advance(1_000)
    made.push(await createKey(app, person, name))
  }
  const { body, text } = await list(person.accessToken)
  expect(body.slice(1)).toEqual(made.map(({ key, ...listed }) => ({ ...listed, lastUsedDay: null })))
  expect(body[0].id).toBe('default')
  for (const { key } of made) expect(text).not.toContain(key.slice(10))
  expect(text).not.toContain(await defaultKey(app, person))
})

test('200: the last day on which each key used units, exact, also long after and after a rotation', async () => {
  const person = await newConsumer(app)
  const made = [await createKey(app, person), await createKey(app, person)]
  const lastDays = async () => {
    const { accessToken: token } = await app.login(person)
    return (await list(token)).body.map(({ lastUsedDay }: { lastUsedDay: string | null }) => lastUsedDay)
  }
  await consume(app, person.key, { units: 1 })
  await consume(app, made[0]?.key, { units: 0 })
  const first = isoDay(Date.now())
  expect(await lastDays()).toEqual([first, null, null])
  app.advance(DAY_MS)
  await consume(app, made[0]?.key, { units: 1 })
  const second = isoDay(Date.now())
  expect(await lastDays()).toEqual([first, second, null])
  app.advance(30 * DAY_MS)
  await consume(app, made[1]?.key, { units: 1 })
  const { accessToken: token } = await app.login(person)
  await app.request('POST', `/v1/keys/${made[0]?.id}/rotate`, { token })
  expect(await lastDays()).toEqual([first, second, isoDay(Date.now())])
  app.advance(2 * DAY_MS)
  expect(await lastDays()).toEqual([first, second, isoDay(Date.now() - 2 * DAY_MS)])
})

test('200: the list has no keys of other accounts', async () => {
  const [ada, eve] = [await app.signUp(), await app.signUp()]
  await createKey(app, ada, 'of Ada')
  expect((await list(eve.accessToken)).body).toMatchObject([{ id: 'default' }])
})

test('401: after the session has ended', async () => {
  const { accessToken } = await app.signUp()
  await app.request('POST', '/v1/auth/logout', { token: accessToken })
  expectError(v1.listKeys, await list(accessToken), 'session_ended')
})

test('503: no answer is guessed while the database is down', async () => {
  const { accessToken } = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before' })
  const answer = await list(accessToken)
  app.stack.dynamo.clearFaults()
  expectError(v1.listKeys, answer, 'temporarily_unavailable')
})
