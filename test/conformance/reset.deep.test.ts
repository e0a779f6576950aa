import { describe, expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { startApp } from '../support/app.ts'
import {
  appCode,
  loseFactors,
  resetCode,
  sessionStatuses,
  signInStatus,
  withTwoFactor,
  wrongHalf,
} from '../support/credentials.ts'
import { newPerson, type Person } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { sendRaw } from '../support/send.ts'
import { expectError } from './contract.ts'

const app = await startApp()
// The SDK repeats a refused call if the Date header is minutes off its clock. So the test's clock shows real
// time.
app.advance(performance.timeOrigin + performance.now() - Date.now())

const NEW = 'Changed1!'
const HOUR_MS = 3_600_000

const ask = (path: string, email: string) => app.request('POST', path, { json: { email } })
const reset = (json: object) =>
  app.request('PUT', '/v1/user/resetPassword', { json: { password: NEW, ...json } })
const invalid = (answer: TestAnswer) => expectError(v1.resetPassword, answer, 'invalid_code')

const mailsTo = (email: string, subject: string) =>
  app.stack.mail.messages(email).filter((mail) => mail.subject === subject).length

/** An answer without the time and the request's id, and the calls that it caused. */
async function observed(asking: () => Promise<TestAnswer>) {
  app.resetCalls()
  const { status, headers, text } = await asking()
  const { date, ratelimit, 'apigw-requestid': id = '', ...rest } = Object.fromEntries(headers)
  return { status, headers: rest, text: text.replaceAll(id, '<id>'), calls: app.calls() }
}

describe.each(['/v1/user/resetPassword', '/v1/auth/resend', '/v1/auth/recovery/code'])(
  '%s for an address that is',
  (path) => {
    test('known, unknown, unconfirmed, deactivated or pending is the same each time, including the calls and their cost', async () => {
      const [deactivated, changing] = [await app.signUp(), await app.signUp()]
      await app.request('PUT', '/api/users/current/deactivate', { token: deactivated.accessToken })
      const [unconfirmed, waiting] = [newPerson(), newPerson()]
      await app.register(unconfirmed)
      await app.request('PUT', `/rest/users/${changing.username}`, {
        token: changing.accessToken,
        json: { email: waiting.email },
      })
      const [confirmed, unknown] = [await app.signUp(), newPerson()]
      if (path.endsWith('recovery/code')) await loseFactors(app, confirmed)
      // The known person gets a mail with a code.
      const known: Person = path.endsWith('resend') ? unconfirmed : confirmed
      const others: Person[] = [confirmed, unconfirmed, deactivated, waiting].filter((each) => each !== known)
      for (let round = 1; round <= 7; round++) {
        const expected = await observed(() => ask(path, known.email))
        expect(expected.status).toBe(204)
        // The other states are tried once, and an unknown address until the mails of the hour are used up.
        for (const { email } of round === 1 ? [unknown, ...others] : [unknown]) {
          expect([round, await observed(() => ask(path, email))]).toEqual([round, expected])
        }
        await app.job('send-mail')
      }
    })
  },
)

test('every invalid code has the same answer, which does not reveal whether an account exists', async () => {
  const person = await app.signUp()
  const code = await resetCode(app, person.email)
  const answer = async (typed: string) => {
    const { calls, ...told } = await observed(() => reset({ code: typed }))
    return told
  }
  const unknown = await answer('0'.repeat(32))
  expect(unknown.status).toBe(400)
  expect(await answer(wrongHalf(code))).toEqual(unknown)
  expect((await reset({ code })).status).toBe(204)
  expect(await answer(wrongHalf(code))).toEqual(unknown)
})

test('five guesses at the secret half revoke the code, but not the next code of the account', async () => {
  const person = await app.signUp()
  const code = await resetCode(app, person.email)
  const guesses = Array.from({ length: 30 }, (_, n) => code.slice(0, 16) + n.toString(16).padStart(16, '0'))
  for (const answer of await Promise.all(guesses.map((guess) => reset({ code: guess })))) invalid(answer)
  invalid(await reset({ code }))
  expect(await signInStatus(app, person, person.password)).toBe(200)
  expect((await reset({ code: await resetCode(app, person.email) })).status).toBe(204)
})

test('guesses at whole codes find no account, whatever their look-up half', async () => {
  const person = await app.signUp()
  const code = await resetCode(app, person.email)
  const guesses = [
    code.slice(16) + code.slice(0, 16),
    code.replace(/./, 'f'),
    person.accountId.padEnd(32, '0'),
  ]
  for (const guess of guesses.filter((each) => each !== code)) invalid(await reset({ code: guess }))
  expect((await reset({ code })).status).toBe(204)
})

test('a used code does nothing more, for any password and by either method', async () => {
  const person = await app.signUp()
  const code = await resetCode(app, person.email)
  expect((await reset({ code })).status).toBe(204)
  const body = JSON.stringify({ code, password: 'Another1!' })
  expect((await reset({ code })).status).toBe(204)
  invalid(
    await sendRaw(app.url, 'GET', '/v1/user/resetPassword', [['content-type', 'application/json']], body),
  )
  expect([await signInStatus(app, person, NEW), await signInStatus(app, person, 'Another1!')]).toEqual([
    200, 401,
  ])
})

test.each([
  ['one request fifty times', (code: string) => () => ({ code })],
  ['fifty passwords', (code: string) => (n: number) => ({ code, password: `Parallel${n}!` })],
])('of fifty concurrent uses of one code one request wins: %s', async (_, make) => {
  const person = await app.signUp()
  const json = make(await resetCode(app, person.email))
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => reset(json(n))))
  const winners = answers.flatMap(({ status }, n) => (status === 204 ? [n] : []))
  // Copies of the winner are answered alike; two passwords never are.
  expect(new Set(winners.map((n) => JSON.stringify(json(n)))).size).toBe(1)
  for (const answer of answers.filter(({ status }) => status !== 204)) {
    // While the winner calls the vault, the others are told to retry; afterwards the code is used.
    expectError(v1.resetPassword, answer, answer.status === 503 ? 'temporarily_unavailable' : 'invalid_code')
  }
  const { password = NEW } = json(winners[0] ?? 0) as { password?: string }
  expect(await signInStatus(app, person, password)).toBe(200)
  expect(await signInStatus(app, person, person.password)).toBe(401)
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
})

test('only the newest of three codes works, in whatever order they are tried', async () => {
  const person = await app.signUp()
  const codes = []
  for (let count = 0; count < 3; count++) {
    codes.push(await resetCode(app, person.email))
    app.advance(count < 2 ? 600_000 : 0)
  }
  const [first = '', second = '', third = ''] = codes
  for (const code of [second, first]) invalid(await reset({ code }))
  expect((await reset({ code: third })).status).toBe(204)
  for (const code of [first, second]) invalid(await reset({ code }))
})

test('the code of one account does nothing to another, however the halves of both are combined', async () => {
  const [ada, bob] = [await app.signUp(), await app.signUp()]
  const [a, b] = [await resetCode(app, ada.email), await resetCode(app, bob.email)]
  invalid(await reset({ code: b.slice(0, 16) + a.slice(16) }))
  expect((await reset({ code: a, email: bob.email })).status).toBe(400)
  expect((await reset({ code: a })).status).toBe(204)
  expect(await signInStatus(app, bob, bob.password)).toBe(200)
  expect(await sessionStatuses(app, bob)).toEqual([200, 200])
  expect(await signInStatus(app, ada, NEW)).toBe(200)
})

test('a code that is 10 minutes old does nothing, even if the table still has it', async () => {
  const person = await app.signUp()
  const code = await resetCode(app, person.email)
  app.advance(10 * 60_000)
  invalid(await reset({ code }))
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

test('no reset bypasses two factors: not the mailed code alone, not with a used code, not after ten tries', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const used = appCode(person.seed)
  expect(await signInStatus(app, person, person.password, used)).toBe(200)
  for (let count = 0; count < 4; count++) {
    const code = await resetCode(app, person.email)
    for (const twofa of [undefined, used]) {
      const { status, body } = await reset({ code, twofa })
      const expected = twofa === undefined ? 'required' : 'invalid'
      expect([status, body.type]).toEqual([401, `urn:bursar:problem:two_factor_${expected}`])
    }
  }
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
  expect(await signInStatus(app, person, person.password, person.recoveryCodes[0])).toBe(200)
})

test('a reset leaves two factors on: the new password alone neither signs in nor switches them off', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const json = { code: await resetCode(app, person.email), twofa: person.recoveryCodes[0] }
  expect((await reset(json)).status).toBe(204)
  expect(await signInStatus(app, person, NEW)).toBe(401)
  const restore = await app.request('POST', '/api/users/restore', {
    json: { email: person.email, password: NEW },
  })
  expect(restore.status).toBe(401)
})

describe('mail bombing', () => {
  test.each([
    ['/v1/user/resetPassword', 'Reset your password', () => app.signUp()],
    ['/v1/auth/resend', 'Confirm your e-mail address', () => registered()],
    [
      '/v1/auth/recovery/code',
      'Recover your account',
      async () => {
        const person = await app.signUp()
        await loseFactors(app, person)
        return person
      },
    ],
  ])('by %s: a hundred requests in an hour send five mails', async (path, subject, who) => {
    const { email } = await who()
    const before = mailsTo(email, subject)
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 10 }, () => ask(path, email)))
      await Promise.all([app.job('send-mail'), app.job('send-mail')])
      app.advance(60_000)
    }
    expect(mailsTo(email, subject) - before).toBe(5)
    app.advance(HOUR_MS)
  })

  test('by changes of address: a stranger whose address is requested repeatedly gets at most five mails an hour', async () => {
    const person = await app.signUp()
    const [stranger, other] = [newPerson().email, newPerson().email]
    for (let count = 0; count < 10; count++) {
      for (const email of [stranger, other]) {
        await app.request('PUT', `/rest/users/${person.username}`, {
          token: person.accessToken,
          json: { email },
        })
      }
      await app.job('send-mail')
    }
    expect(app.stack.mail.messages(stranger).length).toBeLessThanOrEqual(5)
  })
})

async function registered(): Promise<Person> {
  const person = newPerson()
  await app.register(person)
  return person
}

test('neither a Host nor a forwarded host reaches a requested mail', async () => {
  const [person, unconfirmed] = [await app.signUp(), await registered()]
  const evil = 'evil.example'
  for (const [path, { email }] of [
    ['/v1/user/resetPassword', person],
    ['/v1/auth/resend', unconfirmed],
  ] as const) {
    await sendRaw(
      app.url,
      'POST',
      path,
      [
        ['host', evil],
        ['x-forwarded-host', evil],
        ['origin', `https://${evil}`],
        ['referer', `https://${evil}/`],
        ['content-type', 'application/json'],
      ],
      JSON.stringify({ email }),
    )
    await app.job('send-mail')
    const mails = app.stack.mail.messages(email)
    expect(mails).toHaveLength(2)
    expect(JSON.stringify(mails)).not.toMatch(/evil|https?:|127\.0\.0\.1/)
  }
})

test('after a reset no session lives: no access, refresh or refreshed token and no cached verdict counts', async () => {
  const person = await app.signUp()
  const other = await app.login(person)
  const { refreshToken } = person
  const refreshed = (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).body
  for (const session of [person, other, refreshed]) {
    expect(await sessionStatuses(app, session)).toEqual([200, 200])
  }
  expect((await reset({ code: await resetCode(app, person.email) })).status).toBe(204)
  for (const session of [person, other, refreshed]) {
    expect(await sessionStatuses(app, session)).toEqual([401, 401])
  }
  expect(await sessionStatuses(app, await app.login({ ...person, password: NEW }))).toEqual([200, 200])
})

test('a sign-in with the old password during the reset gets no session that outlives the reset', async () => {
  const person = await app.signUp()
  const code = await resetCode(app, person.email)
  const signIns = Array.from({ length: 5 }, () => app.login(person).catch(() => undefined))
  const [done, ...sessions] = await Promise.all([reset({ code }), ...signIns])
  expect(done.status).toBe(204)
  for (const session of sessions.filter((each) => each !== undefined)) {
    expect(await sessionStatuses(app, session)).toEqual([401, 401])
  }
})
