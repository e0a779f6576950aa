import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { MINUTE_MS } from '../../core/time.ts'
import { EDGE_HEADER } from '../../functions/http/source-address.ts'
import { startApp } from '../support/app.ts'
import { resetCode } from '../support/credentials.ts'
import type { SignedInPerson } from '../support/people.ts'

/** Nobody who types wrong passwords keeps an owner out: neither by our locks nor by the vault's. */
const app = await startApp()

const SECRET = 'the-secret-of-this-stage'
beforeEach(() => vi.stubEnv('EDGE_SECRET', SECRET))
afterEach(() => vi.unstubAllEnvs())

/** How our distribution says where a request comes from. Without it a request comes from where the owner is. */
const cameFrom = (address: string) => ({
  'cloudfront-viewer-address': `${address}:46532`,
  [EDGE_HEADER]: SECRET,
})

const signIn = (name: object, password: string, from?: string) =>
  app.request('POST', '/v1/auth/login', { json: { ...name, password }, headers: from ? cameFrom(from) : {} })

const wrongly = (person: SignedInPerson, from: string) => signIn({ email: person.email }, 'Wrong123!', from)

test('a stranger who types wrong passwords all day locks nobody but himself', async () => {
  const person = await app.signUp()
  for (let minute = 0; minute < 60; minute++) {
    await wrongly(person, '203.0.113.7')
    app.advance(MINUTE_MS)
  }
  expect((await wrongly(person, '203.0.113.7')).status).toBe(429)
  expect((await signIn({ email: person.email }, person.password)).status).toBe(200)
})

test('a hundred networks at once, by address and by name, do not keep the owner from a network that they have used', async () => {
  const person = await app.signUp()
  const tries = Array.from({ length: 100 }, (_, n) =>
    signIn(n % 2 ? { email: person.email } : { username: person.username }, 'Wrong123!', `203.0.113.${n}`),
  )
  await Promise.all(tries)
  app.advance(10_000)
  expect((await signIn({ email: person.email }, person.password)).status).toBe(200)
})

test('from many networks no more than eight passwords are looked at in a row, the right one neither', async () => {
  const person = await app.signUp()
  for (let n = 0; n < 8; n++) await wrongly(person, `203.0.113.${n}`)
  app.advance(MINUTE_MS)
  expect((await signIn({ email: person.email }, person.password, '198.51.100.1')).status).toBe(401)
  app.advance(16 * MINUTE_MS)
  expect((await signIn({ email: person.email }, person.password, '198.51.100.1')).status).toBe(200)
})

test('a mailed code opens a network that the attack has closed', async () => {
  const person = await app.signUp()
  for (let n = 0; n < 40; n++) await wrongly(person, `203.0.113.${n}`)
  // The vault's own lock of eight seconds ends.
  app.advance(10_000)
  const json = { code: await resetCode(app, person.email), password: 'Changed1!' }
  await app.request('PUT', '/v1/user/resetPassword', { json, headers: cameFrom('198.51.100.2') })
  expect((await signIn({ email: person.email }, 'Changed1!', '198.51.100.2')).status).toBe(200)
})

test('an unknown name is treated as a known one from everywhere: the same answers and calls', async () => {
  const person = await app.signUp()
  const seen = async (email: string) => {
    const all = []
    for (let n = 0; n < 14; n++) {
      app.resetCalls()
      const { status } = await signIn({ email }, 'Wrong123!', `203.0.113.${100 + (n % 3)}`)
      const { dynamodb, readUnits, writeUnits, cognito } = app.calls()
      all.push({ status, dynamodb, readUnits, writeUnits, cognito })
      app.advance(700)
    }
    return all
  }
  expect(await seen('nobody@mail.example')).toEqual(await seen(person.email))
})

test('a right password is no try of a stranger, and neither is one that the vault did not judge', async () => {
  const person = await app.signUp()
  const from = (n: number) => `198.51.100.${n}`
  app.stack.cognito.addFault({ fault: 'error-before' })
  for (let n = 0; n < 10; n++) await signIn({ email: person.email }, person.password, from(n))
  app.stack.cognito.clearFaults()
  for (let n = 0; n < 10; n++) {
    expect((await signIn({ email: person.email }, person.password, from(10 + n))).status).toBe(200)
  }
})
