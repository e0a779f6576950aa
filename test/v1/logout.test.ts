import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'

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

test('401: signing out a second time', async () => {
  const { accessToken } = await app.signUp()
  await logout(accessToken)
  const { status, body } = await logout(accessToken)
  expect([status, body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
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
