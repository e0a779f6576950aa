import { expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { claims, startApp } from '../support/app.ts'

const app = await startApp()

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

const refresh = (refreshToken: unknown) => app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })

const accountStatus = async (token: string) =>
  (await app.request('GET', '/api/users/current', { token })).status

const ended = (answer: Awaited<ReturnType<typeof refresh>>) => {
  expect([answer.status, answer.body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
}

test('200: the answer has a new access token of the same session, and the same refresh token', async () => {
  const { accessToken, refreshToken } = await app.signUp()
  app.advance(1_000)
  const { status, body } = await refresh(refreshToken)
  expect({ status, body }).toEqual({
    status: 200,
    body: { accessToken: expect.any(String), refreshToken, expiresIn: 900 },
  })
  const [before, after] = [claims(accessToken), claims(body.accessToken)]
  expect(after).toMatchObject({ username: before.username, origin_jti: before.origin_jti })
  expect(after.exp - before.exp).toBe(1)
})

test('200: after the access token has expired', async () => {
  const { accessToken, refreshToken } = await app.signUp()
  app.advance(15 * MINUTE_MS)
  const { body } = await refresh(refreshToken)
  expect(await accountStatus(accessToken)).not.toBe(200)
  expect(await accountStatus(body.accessToken)).toBe(200)
})

test('200: a token can be refreshed repeatedly, and earlier access tokens stay valid until they expire', async () => {
  const { accessToken, refreshToken } = await app.signUp()
  const answers = [await refresh(refreshToken), await refresh(refreshToken)]
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  expect(await accountStatus(accessToken)).toBe(200)
})

test('401: a refresh token that is 30 days old', async () => {
  const { refreshToken } = await app.signUp()
  app.advance(30 * DAY_MS - 1)
  expect((await refresh(refreshToken)).status).toBe(200)
  app.advance(1)
  ended(await refresh(refreshToken))
})

test('401: garbage', async () => {
  ended(await refresh('garbage'))
})

test('401: a live access token', async () => {
  ended(await refresh((await app.signUp()).accessToken))
})

test('401: after a sign-out with any access token of the session', async () => {
  const { refreshToken } = await app.signUp()
  const { accessToken } = (await refresh(refreshToken)).body
  await app.request('POST', '/v1/auth/logout', { token: accessToken })
  ended(await refresh(refreshToken))
})

test('401: after sign-out everywhere by another session', async () => {
  const person = await app.signUp()
  const other = await app.login(person)
  await app.request('POST', '/v1/auth/logout', { token: other.accessToken, json: { everywhere: true } })
  ended(await refresh(person.refreshToken))
})

test('401: a deleted account', async () => {
  const { accountId, refreshToken } = await app.signUp()
  await (await app.ports()).identity.remove(accountId)
  ended(await refresh(refreshToken))
})

test.each(['deactivated', 'suspended'])('403: an account that is %s', async (state) => {
  const { accountId, refreshToken } = await app.signUp()
  await (await app.ports()).table.update(keys.profile(accountId), expr`SET #status = ${state}`)
  const { status, body } = await refresh(refreshToken)
  expect([status, body.type]).toEqual([403, `urn:bursar:problem:account_${state}`])
})

test.each([
  ['no refresh token', undefined, 'session', 'send either refreshToken or session'],
  ['an empty one', '', 'session', 'send either refreshToken or session'],
  ['one over 4,096 characters', 'x'.repeat(4097), 'refreshToken', 'must have at most 4096 characters'],
])('400: %s', async (_, token, field, message) => {
  const { status, body } = await refresh(token)
  expect([status, body.type]).toEqual([400, 'urn:bursar:problem:invalid_request'])
  expect(body.errors).toEqual([{ field, message }])
})
