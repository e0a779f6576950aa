import { describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { sessionStatuses } from '../support/credentials.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const logout = (token: string, json?: unknown) => app.request('POST', '/v1/auth/logout', { token, json })

const accountStatus = async ({ accessToken }: { accessToken: string }) =>
  (await app.request('GET', '/api/users/current', { token: accessToken })).status

const refreshStatus = async ({ refreshToken }: { refreshToken: string }) =>
  (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).status

test.each([
  ['no body', undefined],
  ['an empty object', {}],
  ['everywhere: false', { everywhere: false }],
])('204: %s ends the caller’s session, from the next request on, and no other', async (_, json) => {
  const mine = await app.signUp()
  const other = await app.login(mine)
  expect(await accountStatus(mine)).toBe(200)
  const { status, text } = await logout(mine.accessToken, json)
  expect([status, text]).toEqual([204, ''])
  expect([await accountStatus(mine), await refreshStatus(mine)]).toEqual([401, 401])
  expect([await accountStatus(other), await refreshStatus(other)]).toEqual([200, 200])
})

test('204: everywhere ends every session of the account, and no other account’s', async () => {
  const mine = await app.signUp()
  const [other, stranger] = [await app.login(mine), await app.signUp()]
  const { status, text } = await logout(mine.accessToken, { everywhere: true })
  expect([status, text]).toEqual([204, ''])
  for (const session of [mine, other]) {
    expect([await accountStatus(session), await refreshStatus(session)]).toEqual([401, 401])
  }
  expect([await accountStatus(stranger), await refreshStatus(stranger)]).toEqual([200, 200])
})

test('204: a sign-in in the second of a sign-out everywhere works', async () => {
  const person = await app.signUp()
  await logout(person.accessToken, { everywhere: true })
  const after = await app.login(person)
  expect([await accountStatus(after), await refreshStatus(after)]).toEqual([200, 200])
})

test('204: signing out a second time, which ends no other session', async () => {
  const person = await app.signUp()
  await logout(person.accessToken)
  const other = await app.login(person)
  expect((await logout(person.accessToken)).status).toBe(204)
  expect(await sessionStatuses(app, other)).toEqual([200, 200])
})

test('401: an ended session cannot sign out everywhere while another lives', async () => {
  const person = await app.signUp()
  await logout(person.accessToken)
  const other = await app.login(person)
  const json = { everywhere: true }
  const { status } = await app.request('POST', '/v1/auth/logout', { token: person.accessToken, json })
  expect(status).toBe(401)
  expect(await sessionStatuses(app, other)).toEqual([200, 200])
})

test.each([
  ['everywhere as text', { everywhere: 'yes' }, 'everywhere'],
  ['everywhere as null', { everywhere: null }, 'everywhere'],
  ['a mistyped field', { everwhere: true }, 'everwhere'],
])('400: %s, and the session stays live', async (_, json, field) => {
  const person = await app.signUp()
  const { status, body } = await logout(person.accessToken, json)
  expect([status, body.type]).toEqual([400, 'urn:bursar:problem:invalid_request'])
  expect(body.errors).toEqual([{ field, message: expect.any(String) }])
  expect(await accountStatus(person)).toBe(200)
})

test('503: while the database is down the session stays live', async () => {
  const person = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before' })
  const { status, body } = await logout(person.accessToken, { everywhere: true })
  app.stack.dynamo.clearFaults()
  expect([status, body.type]).toEqual([503, 'urn:bursar:problem:temporarily_unavailable'])
  expect([await accountStatus(person), await refreshStatus(person)]).toEqual([200, 200])
})

describe('with a refresh token', () => {
  const MINUTE_MS = 60_000
  const out = (refreshToken: unknown, more: object = {}, token?: string) =>
    app.request('POST', '/v1/auth/logout', { json: { refreshToken, ...more }, token })
  const problem = ({ status, body }: TestAnswer) => [status, body?.type?.split(':').at(-1)]

  test('204: it needs no access token, and ends its session and no other', async () => {
    const mine = await app.signUp()
    const other = await app.login(mine)
    expect((await out(mine.refreshToken)).status).toBe(204)
    expect(await sessionStatuses(app, mine)).toEqual([401, 401])
    expect(await sessionStatuses(app, other)).toEqual([200, 200])
    expect((await out(mine.refreshToken)).status).toBe(204)
  })

  test.each([
    ['expired', 15 * MINUTE_MS, async ({ accessToken }: { accessToken: string }) => accessToken],
    ['garbled', 0, async () => 'a.b.c'],
    ['another account’s', 0, async () => (await app.signUp()).accessToken],
  ])('204: an access token that is %s does not matter', async (_, laterMs, other) => {
    const mine = await app.signUp()
    const token = await other(mine)
    app.advance(laterMs)
    expect((await out(mine.refreshToken, {}, token)).status).toBe(204)
    expect((await sessionStatuses(app, mine))[1]).toBe(401)
  })

  test('204: everywhere ends every session of its account', async () => {
    const mine = await app.signUp()
    const other = await app.login(mine)
    expect((await out(mine.refreshToken, { everywhere: true })).status).toBe(204)
    expect(await sessionStatuses(app, other)).toEqual([401, 401])
    const later = await app.login(mine)
    expect(problem(await out(mine.refreshToken, { everywhere: true }))).toEqual([401, 'session_ended'])
    expect(await sessionStatuses(app, later)).toEqual([200, 200])
  })

  test('204: of a suspended account, whose session does not live again afterwards', async () => {
    const mine = await app.signUp()
    const { table } = await app.ports()
    const set = (status: string) => table.update(keys.profile(mine.accountId), expr`SET #status = ${status}`)
    await set('suspended')
    expect((await out(mine.refreshToken)).status).toBe(204)
    await set('active')
    expect(await sessionStatuses(app, mine)).toEqual([401, 401])
  })

  test('401: unknown, and an access token in its place', async () => {
    const mine = await app.signUp()
    for (const token of ['x', 'a.b.c', `${mine.refreshToken}x`, mine.accessToken, 'ü'])
      expect(problem(await out(token))).toEqual([401, 'session_ended'])
    expect(await sessionStatuses(app, mine)).toEqual([200, 200])
  })

  test('401: an expired access token alone is not told that its session was ended', async () => {
    const mine = await app.signUp()
    app.advance(15 * MINUTE_MS)
    const answer = await logout(mine.accessToken)
    expect(problem(answer)).toEqual([401, 'token_expired'])
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
    expect(await refreshStatus(mine)).toBe(200)
  })

  test('401: neither token', async () => {
    for (const options of [{}, { token: 'garbage' }, { token: '' }, { json: {} }]) {
      const answer = await app.request('POST', '/v1/auth/logout', options)
      expect(problem(answer)).toEqual([401, 'unauthorized'])
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    }
  })
})
