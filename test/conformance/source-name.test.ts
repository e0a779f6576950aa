import { expect, test } from 'vitest'
import { sourceName } from '../../functions/http/source-name.ts'
import { startApp } from '../support/app.ts'
import { keyringOf } from '../support/keyrings.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()
const keyring = keyringOf('5'.repeat(64))
const DAY_MS = 86_400_000
const nowMs = Date.UTC(2026, 10, 21, 12)

test('a network has one name a day, other networks have others, and nobody computes one without the secret', () => {
  const name = (address: string, atMs = nowMs, ring = keyring) =>
    sourceName({ keyring: ring }, address, atMs).source
  expect(name('203.0.113.7')).toMatch(/^[0-9a-f]{12}$/)
  expect(name('2001:db8:1:2::1')).toBe(name('2001:db8:1:2:3:4:5:6', nowMs + DAY_MS / 2 - 1))
  const others = [
    name('203.0.113.8'),
    name('203.0.113.7', nowMs + DAY_MS / 2),
    name('203.0.113.7', nowMs, keyringOf('6'.repeat(64))),
  ]
  expect(others).not.toContain(name('203.0.113.7'))
  expect(new Set(others).size).toBe(3)
})

test('a function without the secret names no source', () => {
  expect(sourceName({}, '203.0.113.7', nowMs)).toEqual({})
})

test('the line of a request names its source, refused or not, and no address', async () => {
  app.logs.length = 0
  const { email } = newPerson()
  await app.request('POST', '/v1/user/resetPassword', { json: { email } })
  await app.request('POST', '/v1/auth/login', { json: { email, password: 'Wrong123!' } })
  await app.request('POST', '/v1/user/resetPassword', { json: {} })
  const lines = app.logs.map((line) => JSON.parse(line))
  const { source } = sourceName({ keyring: (await app.ports()).keyring }, '127.0.0.1', Date.now())
  expect(lines.map((line) => [line.status, line.source])).toEqual([
    [204, source],
    [401, source],
    [400, source],
  ])
  expect(app.logs.join()).not.toContain('127.0.0.1')
})
