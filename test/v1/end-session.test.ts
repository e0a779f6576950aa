import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { sessionStatuses } from '../support/credentials.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'

const app = await startApp()

type Session = Pick<SignedInPerson, 'accessToken' | 'refreshToken'>

const list = async ({ accessToken: token }: Session): Promise<{ id: string; current: boolean }[]> =>
  (await app.request('GET', '/v1/auth/sessions', { token })).body

const end = ({ accessToken: token }: Session, id: string) =>
  app.request('DELETE', `/v1/auth/sessions/${encodeURIComponent(id)}`, { token })

const idOf = async (session: Session) => (await list(session)).find(({ current }) => current)?.id ?? ''

test('204: another session ends from the next request on, and no third one; a repeat is 204 too', async () => {
  const mine = await app.signUp()
  const [other, third] = [await app.login(mine), await app.login(mine)]
  const id = await idOf(other)
  expect((await end(mine, id)).status).toBe(204)
  expect(await sessionStatuses(app, other)).toEqual([401, 401])
  expect((await end(mine, id)).status).toBe(204)
  for (const live of [mine, third]) expect(await sessionStatuses(app, live)).toEqual([200, 200])
})

test('204: a session may end itself', async () => {
  const mine = await app.signUp()
  expect((await end(mine, await idOf(mine))).status).toBe(204)
  expect(await sessionStatuses(app, mine)).toEqual([401, 401])
})

test('404: the id of another account’s session, live or ended, and nothing ends', async () => {
  const [mine, stranger] = [await app.signUp(), await app.signUp()]
  const second = await app.login(stranger)
  const [live, ended] = [await idOf(stranger), await idOf(second)]
  await end(stranger, ended)
  for (const id of [live, ended]) {
    const { status, body } = await end(mine, id)
    expect([status, body.type]).toEqual([404, 'urn:bursar:problem:not_found'])
  }
  expect(await sessionStatuses(app, stranger)).toEqual([200, 200])
})

test.each([
  ['a forged proof', (id: string) => id.slice(0, 16) + '0'.repeat(16)],
  ['a forged name', (id: string) => '0'.repeat(16) + id.slice(16)],
  ['capitals', (id: string) => id.toUpperCase().replace(/^\d*$/, 'A')],
  ['more digits', (id: string) => `${id}00`],
  ['another form', () => '__proto__'],
])('404: an id with %s', async (_, forge) => {
  const mine = await app.signUp()
  expect((await end(mine, forge(await idOf(mine)))).status).toBe(404)
  expect(await sessionStatuses(app, mine)).toEqual([200, 200])
})

test('400: an id of 1,500 characters', async () => {
  expect((await end(await app.signUp(), 'f'.repeat(1500))).status).toBe(400)
})

test('a change of the address that the ended session has asked for is void', async () => {
  const mine = await app.signUp()
  const thief = await app.login(mine)
  const { email } = newPerson()
  const options = { token: thief.accessToken, json: { email } }
  expect((await app.request('PUT', `/rest/users/${mine.username}`, options)).status).toBe(200)
  await end(mine, await idOf(thief))
  const json = { code: app.mailedCode(email) }
  expect((await app.request('POST', '/v1/auth/activate', { json })).status).toBe(400)
})

test('an expired token ends nothing', async () => {
  const mine = await app.signUp()
  const other = await app.login(mine)
  const id = await idOf(other)
  app.advance(15 * 60_000)
  const { status, body } = await end(mine, id)
  expect([status, body.type]).toEqual([401, 'urn:bursar:problem:token_expired'])
  const { refreshToken } = other
  expect((await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).status).toBe(200)
})
