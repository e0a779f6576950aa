import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'

const app = await startApp()

const get = (name: string, token?: string) => app.request('GET', `/rest/users/${name}`, { token })

test('200: the caller’s account in Skylink’s envelope', async () => {
  const person = await app.signUp()
  app.advance(60_000)
  const { accessToken } = await app.login(person)
  const { status, body } = await get(person.username, accessToken)
  expect(status).toBe(200)
  expect(body).toEqual({
    status: 1,
    content: {
      allusage: 0,
      created: '2026-11-21T12:00:00.000Z',
      email: person.email,
      lastlogin: '2026-11-21T12:01:00.000Z',
      role: 'free',
      status: 'verified',
      type: 'invoice',
      update: '2026-11-21T12:00:00.000Z',
      username: person.username,
    },
  })
})

test.each([
  ['in another case', (name: string) => name.toUpperCase()],
  ['percent-encoded', (name: string) => name.replace('p', '%70')],
])('200: the caller’s own name %s', async (_, variant) => {
  const { username, accessToken } = await app.signUp()
  const { status, body } = await get(variant(username), accessToken)
  expect([status, body.content.username]).toEqual([200, username])
})

test('404: another account and an unknown name have the same answer', async () => {
  const { accessToken } = await app.signUp()
  const other = await app.signUp()
  const answers = await Promise.all([get(other.username, accessToken), get('nobody', accessToken)])
  expect(answers.map(({ status, body }) => ({ status, body }))).toEqual(
    Array(2).fill({ status: 404, body: { status: 0, message: 'Not found.' } }),
  )
})

test('404: the caller’s account id or address in place of the username', async () => {
  const { accountId, email, accessToken } = await app.signUp()
  expect((await get(accountId, accessToken)).status).toBe(404)
  expect((await get(encodeURIComponent(email), accessToken)).status).toBe(404)
})

test('401: Skylink’s envelope once the session has ended', async () => {
  const { username, accessToken } = await app.signUp()
  await app.request('POST', '/v1/auth/logout', { token: accessToken })
  const { status, body } = await get(username, accessToken)
  expect({ status, body }).toEqual({
    status: 401,
    body: { status: 0, message: 'The session has expired or was ended. Sign in again.' },
  })
})
