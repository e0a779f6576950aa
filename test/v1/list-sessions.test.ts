import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import type { Person, SignedInPerson } from '../support/people.ts'

const app = await startApp()
const HOUR_MS = 3_600_000

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0'
const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1'

const list = async ({ accessToken: token }: Pick<SignedInPerson, 'accessToken'>) =>
  (await app.request('GET', '/v1/auth/sessions', { token })).body

async function loginFrom(userAgent: string | undefined, { email, password }: Person) {
  const headers: Record<string, string> = userAgent === undefined ? {} : { 'user-agent': userAgent }
  return (await app.request('POST', '/v1/auth/login', { json: { email, password }, headers })).body
}

test('200: each session with its times and its browser, the one seen last first', async () => {
  const person = await app.signUp()
  app.advance(60_000)
  const phone = await loginFrom(SAFARI, person)
  app.advance(60_000)
  const laptop = await loginFrom(FIREFOX, person)
  const id = expect.stringMatching(/^[0-9a-f]{32}$/)
  const at = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()
  const shown = (minutes: number, userAgent: string | null, current: boolean) => ({
    id,
    since: at(minutes),
    lastSeen: at(minutes),
    userAgent,
    current,
  })
  expect(await list(phone)).toEqual([
    shown(0, 'Firefox on Windows', false),
    shown(1, 'Safari on iOS', true),
    shown(2, null, false),
  ])
  expect((await list(laptop)).map(({ current }: { current: boolean }) => current)).toEqual([
    true,
    false,
    false,
  ])
})

test('200: an id says nothing about the tokens of its session, and is the same every time', async () => {
  const person = await app.signUp()
  const [{ id }] = await list(person)
  expect((await list(person))[0].id).toBe(id)
  const claims = Buffer.from(person.accessToken.split('.')[1] ?? '', 'base64url').toString()
  expect(claims.replaceAll('-', '')).not.toContain(id.slice(0, 12))
})

test('200: a session is seen when it refreshes its token, and writes that once an hour', async () => {
  const person = await app.signUp()
  const { body } = await app.request('POST', '/v1/auth/refresh', {
    json: { refreshToken: person.refreshToken },
  })
  const lastSeen = async (session: { accessToken: string }) => Date.parse((await list(session))[0].lastSeen)
  const signedInMs = Date.now()
  expect(await lastSeen(body)).toBe(signedInMs)
  const seen = []
  for (let quarters = 1; quarters <= 5; quarters++) {
    app.advance(HOUR_MS / 4)
    const { refreshToken } = person
    const refreshed = (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).body
    seen.push(((await lastSeen(refreshed)) - signedInMs) / HOUR_MS)
  }
  expect(seen).toEqual([0, 0, 0, 1, 1])
})

test('200: sessions that have ended or are over are not listed', async () => {
  const person = await app.signUp()
  const other = await app.login(person)
  await app.request('POST', '/v1/auth/logout', { json: { refreshToken: other.refreshToken } })
  expect(await list(person)).toHaveLength(1)
  app.advance(29 * 24 * HOUR_MS)
  const newer = await app.login(person)
  expect(await list(newer)).toHaveLength(2)
  app.advance(24 * HOUR_MS - 60_000)
  const { refreshToken } = newer
  const refreshed = (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).body
  expect(await list(refreshed)).toHaveLength(2)
  app.advance(60_000)
  expect(await list(refreshed)).toHaveLength(1)
})

test('a stranger’s text in User-Agent is neither stored nor shown', async () => {
  const person = await app.signUp()
  app.advance(1)
  const hostile = '<script>alert(1)</script> https://evil.example Firefox/1 \u00e9 X11'
  const session = await loginFrom(hostile, person)
  const { table } = await app.ports()
  expect((await list(session))[0].userAgent).toBe('Firefox on Linux')
  const { keys } = await import('../../core/table/keys.ts')
  const stored = JSON.stringify(await table.list(keys.account(person.accountId), ''))
  expect(stored).not.toMatch(/script|evil/)
})
