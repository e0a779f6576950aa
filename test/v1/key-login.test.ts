import { beforeAll, describe, expect, test } from 'vitest'
import { rows } from '../../functions/http/rows.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError, targetOf } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey, defaultKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, sampleOf } from '../support/samples.ts'

const app = await startApp()

const MINUTE_MS = 60_000

const login = (key: string) => app.request('POST', '/v1/auth/apiKey', { json: { key } })

async function tokenFor(key: string): Promise<string> {
  const answer = await login(key)
  expect(answer.status).toBe(200)
  return answer.body.accessToken
}

const read = (token: string) => app.request('GET', '/v1/user', { token })

test('200: an access token without a refresh token, for the default key and for a further one', async () => {
  const person = await app.signUp()
  for (const key of [await defaultKey(app, person), (await createKey(app, person)).key]) {
    const answer = await login(key)
    expectContract(v1.keyLogin, answer)
    expect(answer.body).toEqual({ accessToken: expect.any(String), expiresIn: expect.any(Number) })
    const { status, body } = await read(answer.body.accessToken)
    expect([status, body.id]).toEqual([200, person.accountId])
  }
})

const account = rows.filter(({ auth }) => auth === 'account')
const isRead = ({ routes }: { routes: readonly string[] }) => routes.every((key) => key.startsWith('GET '))
const named = (some: typeof account) => some.map((row) => [rowKey(row), row] as const)

describe('what the token opens', () => {
  let person: SignedInPerson & { password: string; email: string; username: string }
  let token: string
  let secrets: string[]
  beforeAll(async () => {
    person = await app.signUp()
    secrets = [await defaultKey(app, person), (await createKey(app, person)).key]
    token = await tokenFor(secrets[0] ?? '')
  })

  test.each(named(account.filter(isRead)))('%s answers, and shows no key', async (_, row) => {
    const { path, query } = await sampleOf(app, row, person)
    const [method, target] = targetOf(row.routes[0], path)
    const answer = await app.request(method, `${target}?${new URLSearchParams(query)}`, { token })
    expect(answer.status).toBe(200)
    for (const secret of secrets) expect(answer.text).not.toContain(secret)
  })

  test.each(named(account.filter((row) => !isRead(row))))(
    '%s is refused, and nothing is done',
    async (_, row) => {
      const other = await app.signUp()
      const readOnly = await tokenFor(await defaultKey(app, other))
      const { path, body } = await sampleOf(app, row, other)
      const [method, target] = targetOf(row.routes[0], path)
      app.resetCalls()
      const answer = await app.request(method, target, { token: readOnly, ...(body && { json: body }) })
      expect(answer.status).toBe(403)
      if (row.dialect !== 'rest') expectError(row, answer, 'read_only_token')
      expect(app.calls()).toMatchObject({ writeUnits: 0, cognito: {}, mail: {}, stripe: {} })
    },
  )
})

describe('the token ends at once', () => {
  const ended = async (token: string) =>
    expect((await read(token)).body.type).toBe('urn:bursar:problem:session_ended')

  test('with its key: revoked, rotated, switched off or changed', async () => {
    const person = await app.signUp()
    const { accessToken } = person
    const change = (method: string, path: string, json?: object) =>
      app.request(method, `/v1/keys/${path}`, { token: accessToken, ...(json && { json }) })
    const ends: ((id: string) => Promise<{ status: number }>)[] = [
      (id) => change('DELETE', id),
      (id) => change('POST', `${id}/rotate`),
      (id) => change('PUT', id, { enabled: false }),
      (id) => change('PUT', id, { scopes: ['read'] }),
    ]
    for (const end of ends) {
      const { id, key } = await createKey(app, person)
      const token = await tokenFor(key)
      expect((await end(id)).status).toBeLessThan(300)
      await ended(token)
    }
    const token = await tokenFor(await defaultKey(app, person))
    expect((await change('POST', 'default/rotate')).status).toBe(200)
    await ended(token)
  })

  test('with the account: deactivated', async () => {
    const person = await app.signUp()
    const key = await defaultKey(app, person)
    const token = await tokenFor(key)
    await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
    expect((await read(token)).body.type).toBe('urn:bursar:problem:account_deactivated')
    expectError(v1.keyLogin, await login(key), 'account_deactivated')
  })

  test('when its key expires, and with its own end, after which no refresh is offered', async () => {
    const person = await app.signUp()
    const expiresAt = new Date(Date.now() + 5 * MINUTE_MS).toISOString()
    const { key } = await createKey(app, person, 'short', { expiresAt })
    const [short, long] = [await tokenFor(key), await tokenFor(await defaultKey(app, person))]
    app.advance(6 * MINUTE_MS)
    await ended(short)
    expectError(v1.keyLogin, await login(key), 'key_expired')
    expect((await read(long)).status).toBe(200)
    app.advance(60 * MINUTE_MS)
    await ended(long)
  })

  test('when twenty newer ones exist, and never a session of a person', async () => {
    const person = await app.signUp()
    const key = await defaultKey(app, person)
    const first = await tokenFor(key)
    app.advance(1000)
    const second = await tokenFor(key)
    app.advance(1000)
    for (let nth = 0; nth < 19; nth++) await tokenFor(key)
    await ended(first)
    expect((await read(second)).status).toBe(200)
    expect((await read(person.accessToken)).status).toBe(200)
  })
})

test('401 for what is no live key, before the vault is asked; 403 from an address that the key does not allow', async () => {
  const person = await app.signUp()
  const { key, id } = await createKey(app, person)
  const elsewhere = await createKey(app, person, 'elsewhere', { ip: ['203.0.113.7'] })
  await app.request('DELETE', `/v1/keys/${id}`, { token: person.accessToken })
  app.resetCalls()
  for (const text of [key, 'x', `${key.slice(0, -1)}0`, '92c85d5c-daea-447d-9eac-1d6d64d8b340'])
    expectError(v1.keyLogin, await login(text), 'unauthorized')
  expectError(v1.keyLogin, await login(elsewhere.key), 'ip_not_allowed')
  expect(app.calls().cognito).toEqual({})
})

test('the activity of the account shows each, with the id of its key', async () => {
  const person = await app.signUp()
  const { id, key } = await createKey(app, person)
  app.advance(1000)
  await tokenFor(key)
  const { body } = await app.request('GET', '/v1/user/activity', { token: person.accessToken })
  expect(body[0]).toMatchObject({ action: 'account.key-signed-in', by: 'key', after: { key: id } })
})
