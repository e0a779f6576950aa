import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import {
  appCode,
  enrol,
  loseFactors,
  recoveryCode,
  resetCode,
  withTwoFactor,
} from '../support/credentials.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()

const NEW = 'Changed1!'

/** Six digits as an Arabic keyboard gives them, in two groups. */
const arabic = (code: string) =>
  ` ${code.replace(/\d/g, (digit) => String.fromCodePoint(0x660 + Number(digit))).replace(/^.../, '$&\u00a0')}\n`

/** A recovery code as read from paper. */
const onPaper = (code: string) =>
  code.toUpperCase().replaceAll('0', 'O').replaceAll('1', 'l').replace('-', ' – ')

/** A mailed code as copied from a narrow window. */
const wrapped = (code: string) => `"${code.slice(0, 20).toUpperCase()}\r\n  ${code.slice(20)}".`

const protectedPerson = async () => withTwoFactor(app, await app.signUp())
type Protected = Awaited<ReturnType<typeof protectedPerson>>

/** Every place that takes a code of two factors, with the request that succeeds by it. */
const takers: [string, (person: Protected, twofa: string) => Promise<{ status: number }>][] = [
  [
    'POST /v1/auth/login',
    ({ email, password }, twofa) =>
      app.request('POST', '/v1/auth/login', { json: { email, password, twofa } }),
  ],
  [
    'POST /api/users/restore',
    ({ email, password }, twofa) =>
      app.request('POST', '/api/users/restore', { json: { email, password, twofa } }),
  ],
  [
    'PUT /v1/user/password',
    ({ accessToken: token }, twofa) =>
      app.request('PUT', '/v1/user/password', { token, json: { password: NEW, twofa } }),
  ],
  [
    'PUT /api/users/current',
    ({ accessToken: token, password: oldPassword }, twofa) =>
      app.request('PUT', '/api/users/current', { token, json: { oldPassword, newPassword: NEW, twofa } }),
  ],
  [
    'PUT /v1/user/resetPassword',
    async ({ email }, twofa) =>
      app.request('PUT', '/v1/user/resetPassword', {
        json: { code: wrapped(await resetCode(app, email)), password: NEW, twofa },
      }),
  ],
  [
    'POST /v1/auth/confirm',
    ({ accessToken: token }, twofa) => app.request('POST', '/v1/auth/confirm', { token, json: { twofa } }),
  ],
  [
    'DELETE /v1/auth/2FA',
    ({ accessToken: token }, code) => app.request('DELETE', '/v1/auth/2FA', { token, json: { code } }),
  ],
  [
    'DELETE /v1/auth/recovery',
    ({ accessToken: token }, twofa) => app.request('DELETE', '/v1/auth/recovery', { token, json: { twofa } }),
  ],
  [
    'X-Proof-Code, in UTF-8',
    ({ accessToken: token }, twofa) => {
      const typed = Buffer.from(twofa.trim(), 'utf8').toString('latin1')
      const headers = { 'x-proof-code': typed }
      return app.request('PUT', '/api/users/current/deactivate', { token, headers })
    },
  ],
]

test.each(takers)('%s takes codes as people type them, and a repeat in another form', async (_, use) => {
  for (const form of [arabic, onPaper]) {
    const person = await protectedPerson()
    const code = form === arabic ? appCode(person.seed) : person.recoveryCodes[0]!
    const { status } = await use(person, form(code))
    expect(status).toBeLessThan(300)
  }
})

test('a repeat is the same request, in whatever form its code is typed', async () => {
  const person = await protectedPerson()
  const { accessToken: token, recoveryCodes, email } = person
  const [first = '', second = ''] = recoveryCodes
  const code = await resetCode(app, email)
  const reset = (typed: string, twofa: string) =>
    app.request('PUT', '/v1/user/resetPassword', { json: { code: typed, password: person.password, twofa } })
  const off = (typed: string, session: string) =>
    app.request('DELETE', '/v1/auth/2FA', { token: session, json: { code: typed } })
  for (const status of [
    (await reset(code, first)).status,
    (await reset(wrapped(code), onPaper(first))).status,
  ])
    expect(status).toBe(204)
  const json = { email, password: person.password, twofa: recoveryCodes[2] }
  const session = (await app.request('POST', '/v1/auth/login', { json })).body.accessToken
  expect((await off(second, session)).status).toBe(204)
  expect((await off(onPaper(second), session)).status).toBe(204)
  expect((await off(onPaper(first), session)).status).toBe(409)
  expect(token).not.toBe(session)
})

test('POST /v1/auth/verify2FA takes the first code of an app in any digits', async () => {
  const person = await app.signUp()
  const code = arabic(appCode(await enrol(app, person)))
  const answer = await app.request('POST', '/v1/auth/verify2FA', {
    token: person.accessToken,
    json: { code },
  })
  expect(answer.status).toBe(200)
})

test('mailed codes and codes of links are taken as they are pasted', async () => {
  const person = newPerson()
  await app.register(person)
  const activate = { code: wrapped(app.mailedCode(person.email)) }
  expect((await app.request('POST', '/v1/auth/activate', { json: activate })).status).toBe(200)
  const locked = await app.signUp()
  await loseFactors(app, locked)
  const begin = { code: wrapped(await recoveryCode(app, locked.email)) }
  expect((await app.request('POST', '/v1/auth/recovery', { json: begin })).status).toBe(200)
  await app.job('send-mail')
  const [, link = ''] = /recovery\/stop\/([\w-]+)/.exec(app.stack.mail.messages(locked.email).at(-1)!.text)!
  const stop = { code: `“${link.slice(0, 20)}\n${link.slice(20)}” ` }
  expect((await app.request('POST', '/v1/auth/recovery/stop', { json: stop })).status).toBe(200)
})
