import { describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { appCode, enrol, resetCode, signInStatus, withTwoFactor } from '../support/credentials.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

/**
 * Requests that change who gets in are sent again up to an hour later, by a client that never got the answer. They
 * get the answer of the first time, however short-lived the code was that they came with.
 */

const app = await startApp()

/** A password by the rule, which the vault refuses all the same. */
const REFUSED = 'Refused123!'
app.stack.cognito.refusePassword(REFUSED)
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const NEW = 'Changed1!'

const answerOf = ({ status, body }: TestAnswer) => [status, body]
const activate = (code: string) => app.request('POST', '/v1/auth/activate', { json: { code } })
const reset = (json: object) => app.request('PUT', '/v1/user/resetPassword', { json })

describe('up to an hour later', () => {
  test('a registration is answered alike, and never after that', async () => {
    const person = newPerson()
    const first = await app.register(person)
    app.advance(60 * MINUTE_MS)
    expect(answerOf(await app.register(person))).toEqual(answerOf(first))
    expect(app.stack.mail.messages(person.email)).toHaveLength(1)
    app.advance(15 * MINUTE_MS)
    expect((await app.register(person)).status).toBe(409)
  })

  test('a code that was used in its last minute is answered alike, and never used twice', async () => {
    const person = newPerson()
    await app.register(person)
    const code = app.mailedCode(person.email)
    app.advance(DAY_MS - 1)
    const first = await activate(code)
    expect(first.status).toBe(200)
    app.advance(60 * MINUTE_MS)
    expect(answerOf(await activate(code))).toEqual(answerOf(first))
    app.advance(15 * MINUTE_MS)
    expect((await activate(code)).status).toBe(400)
  })

  test('so is the code of a change of address', async () => {
    const person = await app.signUp()
    const { email } = newPerson()
    const options = { token: person.accessToken, json: { email } }
    await app.request('PUT', `/rest/users/${person.username}`, options)
    const code = app.mailedCode(email)
    app.advance(DAY_MS - 1)
    const first = await activate(code)
    app.advance(60 * MINUTE_MS)
    expect(answerOf(await activate(code))).toEqual(answerOf(first))
  })

  test('a reset in the last minute of its code is answered alike, after another reset too, and does nothing more', async () => {
    const person = await app.signUp()
    const code = await resetCode(app, person.email)
    app.advance(10 * MINUTE_MS - 1)
    expect((await reset({ code, password: NEW })).status).toBe(204)
    app.advance(30 * MINUTE_MS)
    expect((await reset({ code, password: NEW })).status).toBe(204)
    const again = await resetCode(app, person.email)
    expect((await reset({ code: again, password: 'Another1!' })).status).toBe(204)
    app.advance(30 * MINUTE_MS)
    expect((await reset({ code, password: NEW })).status).toBe(204)
    expect(await signInStatus(app, person, 'Another1!')).toBe(200)
    expect((await reset({ code, password: 'Third123!' })).status).toBe(400)
    app.advance(15 * MINUTE_MS)
    expect((await reset({ code, password: NEW })).status).toBe(400)
  })

  test('a reset that the vault did not answer is finished by the same request, and by no other', async () => {
    const person = await app.signUp()
    const code = await resetCode(app, person.email)
    app.advance(9 * MINUTE_MS)
    app.stack.cognito.addFault({ fault: 'error-before', match: 'AdminSetUserPassword' })
    expect((await reset({ code, password: NEW })).status).toBe(503)
    app.stack.cognito.clearFaults()
    app.advance(55 * MINUTE_MS)
    expect((await reset({ code, password: 'Another1!' })).status).toBe(400)
    expect((await reset({ code, password: NEW })).status).toBe(204)
    expect(await signInStatus(app, person, NEW)).toBe(200)
  })

  test('a password that only the vault refuses leaves the code as short-lived as it was', async () => {
    const person = await app.signUp()
    const code = await resetCode(app, person.email)
    app.advance(9 * MINUTE_MS)
    const { status, body } = await reset({ code, password: REFUSED })
    expect([status, body.type]).toEqual([400, 'urn:bursar:problem:password_refused'])
    app.advance(MINUTE_MS)
    expect((await reset({ code, password: NEW })).status).toBe(400)
  })

  test('a restore is answered alike', async () => {
    const person = await app.signUp()
    await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
    const { email, password } = person
    const restore = () => app.request('POST', '/api/users/restore', { json: { email, password } })
    const first = await restore()
    app.advance(60 * MINUTE_MS)
    expect(answerOf(await restore())).toEqual(answerOf(first))
  })
})

describe('two-factor authentication', () => {
  const send = (method: string, path: string, person: SignedInPerson, code: string, headers = {}) =>
    app.request(method, path, { token: person.accessToken, json: { code }, headers })
  const verify = (person: SignedInPerson, code: string, headers = {}) =>
    send('POST', '/v1/auth/verify2FA', person, code, headers)

  test('switching it on again with the same code shows the same recovery codes for as long as the session is recent', async () => {
    const person = await app.signUp()
    const code = appCode(await enrol(app, person))
    const first = await verify(person, code)
    app.advance(9 * MINUTE_MS)
    expect(answerOf(await verify(person, code))).toEqual(answerOf(first))
  })

  test('and so does the request of an older session with the proof that it came with', async () => {
    const person = await app.signUp()
    const seed = await enrol(app, person)
    app.advance(11 * MINUTE_MS)
    const proof = { 'x-proof-password': person.password }
    const code = appCode(seed)
    const first = await verify(person, code, proof)
    expect(first.status).toBe(200)
    app.advance(MINUTE_MS)
    expect(answerOf(await verify(person, code, proof))).toEqual(answerOf(first))
    expect((await verify(person, code, { 'x-proof-password': 'Wrong123!' })).status).toBe(403)
  })

  test('switching it off is answered alike for the code that did it', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    app.advance(11 * MINUTE_MS)
    const off = (code = '') => send('DELETE', '/v1/auth/2FA', person, code)
    expect((await off(person.recoveryCodes[0])).status).toBe(204)
    app.advance(MINUTE_MS)
    expect((await off(person.recoveryCodes[0])).status).toBe(204)
    expect((await off(person.recoveryCodes[1])).status).toBe(409)
  })

  test('a code that nobody checked is no proof later', async () => {
    const person = await app.signUp()
    const json = { password: person.password, twofa: '123456' }
    await app.request('POST', '/v1/auth/confirm', { token: person.accessToken, json })
    const guarded = await withTwoFactor(app, person)
    const options = { token: guarded.accessToken, json: { twofa: '123456' } }
    expect((await app.request('POST', '/v1/auth/confirm', options)).status).toBe(401)
  })
})
