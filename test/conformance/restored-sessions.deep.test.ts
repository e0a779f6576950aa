import { afterEach, describe, expect, test, vi } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { consoleKey, type Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { makeOperator } from '../support/console.ts'
import { newConsumer } from '../support/quota.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import { expectError, targetOf } from './contract.ts'

/**
 * A table that was restored from a backup lists sessions that have ended since. SESSIONS_SINCE ends every session that began
 * before it, wherever a session counts.
 */

const app = await startApp()

/** Sets the time of the restore to now, a second after the sign-ins so far. */
function restoreNow(): void {
  app.advance(1_000)
  vi.stubEnv('SESSIONS_SINCE', new Date(Date.now()).toISOString())
}

afterEach(() => vi.unstubAllEnvs())

const open = (token: string) => app.request('GET', '/v1/user', { token })

const REQUIRES_SESSION = rows.filter(({ auth }) => auth === 'account' || auth === 'operator')

describe('a session that began before SESSIONS_SINCE is refused', () => {
  const cases = REQUIRES_SESSION.map((row) => [rowKey(row), row] as const)
  test.each(cases)('by %s', async (_, row: Placed) => {
    const person = await app.signUp()
    if (row.auth === 'operator') await makeOperator(app, person.accountId, 'admin')
    const { path, body } = await sampleOf(app, row, row.auth === 'operator' ? await app.signUp() : person)
    restoreNow()
    const route = row.auth === 'operator' ? consoleKey(row.routes[0]) : row.routes[0]
    const [method, target] = targetOf(route, path)
    const token = person.accessToken
    expectError(
      row,
      await app.request(method, target, { token, ...(body && { json: body }) }),
      'session_ended',
    )
  })
})

test('a refresh token of such a session gives no access token, and one of a later session does', async () => {
  const person = await app.signUp()
  restoreNow()
  const refresh = (refreshToken: string) =>
    app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
  const refused = await refresh(person.refreshToken)
  expect([refused.status, refused.body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
  const later = await app.login(person)
  expect((await refresh(later.refreshToken)).status).toBe(200)
  expect((await open(later.accessToken)).status).toBe(200)
})

test('an expired token of such a session is told to sign in again, not to refresh', async () => {
  const person = await app.signUp()
  restoreNow()
  app.advance(16 * 60_000)
  const { status, body } = await open(person.accessToken)
  expect([status, body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
})

test('a session of an application key ends, too', async () => {
  const { key } = await newConsumer(app)
  const signIn = () => app.request('POST', '/v1/auth/apiKey', { json: { key } })
  const { body: before } = await signIn()
  expect((await open(before.accessToken)).status).toBe(200)
  restoreNow()
  expect((await open(before.accessToken)).status).toBe(401)
  const { body: after } = await signIn()
  expect((await open(after.accessToken)).status).toBe(200)
})

test('lists show no such session, signing one out is no error, and the next sign-in forgets it', async () => {
  const person = await app.signUp()
  restoreNow()
  const { refreshToken } = person
  const out = await app.request('POST', '/v1/auth/logout', { json: { refreshToken, everywhere: true } })
  expect(out.status).toBe(204)
  const later = await app.login(person)
  const { body } = await app.request('GET', '/v1/auth/sessions', { token: later.accessToken })
  expect(body).toHaveLength(1)
  const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
  expect(Object.keys(profile?.sessions ?? {})).toHaveLength(1)
})

test('a setting that is no time lets nobody in', async () => {
  const { accessToken } = await app.signUp()
  vi.stubEnv('SESSIONS_SINCE', 'yesterday')
  expect((await open(accessToken)).status).toBe(500)
})
