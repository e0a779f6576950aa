import { describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { api } from '../../functions/api/routes.ts'
import type { Placed } from '../../functions/http/route.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { startApp } from '../support/app.ts'
import {
  appCode,
  enrol,
  resetCode,
  sessionStatuses,
  signInStatus,
  withTwoFactor,
  wrongAppCode,
} from '../support/credentials.ts'
import type { TestAnswer } from '../support/send.ts'
import { expectContract, expectError } from './contract.ts'

const app = await startApp()

const MINUTE_MS = 60_000
const NEW = 'Changed1!'

const protectedPerson = async () => withTwoFactor(app, await app.signUp())
type Protected = Awaited<ReturnType<typeof protectedPerson>>

/** Every endpoint that takes a code of an account with two factors on. */
const takers: [name: string, row: Placed, use: (person: Protected, twofa?: string) => Promise<TestAnswer>][] =
  [
    [
      'sign-in',
      v1.login,
      ({ email, password }, twofa) =>
        app.request('POST', '/v1/auth/login', { json: { email, password, twofa } }),
    ],
    [
      'restore',
      api.restore,
      ({ email, password }, twofa) =>
        app.request('POST', '/api/users/restore', { json: { email, password, twofa } }),
    ],
    [
      'password change',
      v1.changePassword,
      ({ accessToken: token, password: oldPassword }, twofa) =>
        app.request('PUT', '/v1/user/password', { token, json: { password: NEW, oldPassword, twofa } }),
    ],
    [
      'EMCP’s password change',
      api.updateCurrentUser,
      ({ accessToken: token, password: oldPassword }, twofa) =>
        app.request('PUT', '/api/users/current', {
          token,
          json: { oldPassword, newPassword: 'Changed2!', twofa },
        }),
    ],
    [
      'reset',
      v1.resetPassword,
      async ({ email }, twofa) =>
        app.request('PUT', '/v1/user/resetPassword', {
          json: { code: await resetCode(app, email), password: NEW, twofa },
        }),
    ],
    [
      'switching off',
      v1.removeTwoFactor,
      ({ accessToken: token }, code) => app.request('DELETE', '/v1/auth/2FA', { token, json: { code } }),
    ],
  ]

describe.each(takers)('%s', (name, row, use) => {
  test('does nothing without a code, even if everything else is right', async () => {
    const person = await protectedPerson()
    const answer = await use(person)
    expectError(row, answer, name === 'switching off' ? 'invalid_request' : 'two_factor_required')
    expect(await sessionStatuses(app, person)).toEqual([200, 200])
    expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
  })

  test('accepts neither a code of the app nor a recovery code that was used to sign in', async () => {
    const person = await protectedPerson()
    for (const code of [appCode(person.seed), person.recoveryCodes[0]]) {
      expect(await signInStatus(app, person, person.password, code)).toBe(200)
      expectError(row, await use(person, code), 'two_factor_invalid')
    }
  })

  test('five concurrent copies of a request with one code do one thing', async () => {
    const person = await protectedPerson()
    const code = appCode(person.seed)
    const generation = async () =>
      (await (await app.ports()).table.get(keys.profile(person.accountId)))?.generation
    const before = Number(await generation())
    const answers = await Promise.all(Array.from({ length: 5 }, () => use(person, code)))
    for (const answer of answers) expectContract(row, answer)
    // A sign-in gives a session each time; copies of any other request are answered as the first of them.
    if (name === 'sign-in') expect(answers.filter(({ status }) => status < 300).length).toBeLessThanOrEqual(1)
    expect(await generation()).toBeLessThanOrEqual(before + 1)
  })
})

test.each([
  ['one code of the app', ({ seed }: Protected) => appCode(seed)],
  ['one recovery code', ({ recoveryCodes }: Protected) => recoveryCodes[7]],
])('exactly one of fifty concurrent sign-ins with %s gets a session', async (_, codeOf) => {
  const person = await protectedPerson()
  const { email, password } = person
  const json = { email, password, twofa: codeOf(person) }
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => app.request('POST', '/v1/auth/login', { json })),
  )
  const [winner, ...more] = answers.filter(({ status }) => status === 200)
  expect(more).toEqual([])
  expect(await sessionStatuses(app, winner?.body)).toEqual([200, 200])
  for (const { status, body } of answers.filter(({ status }) => status !== 200)) {
    expect([401, 429]).toContain(status)
    expect(body.accessToken).toBe(undefined)
  }
})

test('one code used concurrently at different endpoints works at one of them', async () => {
  const person = await protectedPerson()
  const code = appCode(person.seed)
  const answers = await Promise.all(takers.slice(0, 4).map(([, , use]) => use(person, code)))
  expect(answers.filter(({ status }) => status < 300).length).toBeLessThanOrEqual(1)
})

test('a code of a neighbouring time step works once, and then no earlier code works', async () => {
  const person = await protectedPerson()
  const [now, next] = [appCode(person.seed), appCode(person.seed, 1)]
  expect(await signInStatus(app, person, person.password, next)).toBe(200)
  for (const code of [next, now]) expect(await signInStatus(app, person, person.password, code)).toBe(401)
  app.advance(30_000)
  expect(await signInStatus(app, person, person.password, next)).toBe(401)
  app.advance(30_000)
  expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
})

test('after two factors are switched off and on again no code of the first enrolment works', async () => {
  const person = await protectedPerson()
  const [first] = person.recoveryCodes
  const token = person.accessToken
  await app.request('DELETE', '/v1/auth/2FA', { token, json: { code: appCode(person.seed) } })
  const again = await withTwoFactor(app, person)
  for (const code of [first, appCode(person.seed)]) {
    expect(await signInStatus(app, person, person.password, code)).toBe(401)
  }
  expect(await signInStatus(app, person, person.password, appCode(again.seed))).toBe(200)
})

test('five guesses over all endpoints that take a code lock every endpoint, and no code is checked any more', async () => {
  const person = await protectedPerson()
  for (const [nth, [, row, guess]] of takers.slice(0, 5).entries()) {
    expectError(row, await guess(person, wrongAppCode(person.seed, nth)), 'two_factor_invalid')
  }
  app.resetCalls()
  for (const [, row, use] of takers) {
    for (const code of [appCode(person.seed), person.recoveryCodes[0], wrongAppCode(person.seed, 6)]) {
      expectError(row, await use(person, code), 'two_factor_locked')
    }
  }
  expect(app.calls().kms).toEqual({})
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
})

test('of a hundred concurrent guesses five are checked', async () => {
  const person = await protectedPerson()
  const guesses = Array.from({ length: 100 }, (_, n) => String(n).padStart(6, '0'))
  const near = [-1, 0, 1].map((steps) => appCode(person.seed, steps))
  app.resetCalls()
  const answers = await Promise.all(
    guesses
      .filter((guess) => !near.includes(guess))
      .map((code) => app.request('DELETE', '/v1/auth/2FA', { token: person.accessToken, json: { code } })),
  )
  expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(5)
  expect(answers.filter(({ status }) => ![401, 429].includes(status))).toEqual([])
  expect(app.calls().kms.Decrypt ?? 0).toBeLessThanOrEqual(5)
})

test('with five tries per 15 minutes, guesses do not add up over the hours', async () => {
  const person = await protectedPerson()
  const token = async () =>
    (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken: person.refreshToken } })).body
      .accessToken
  for (let round = 0; round < 3; round++) {
    const guess = async (nth: number) => {
      const json = { code: wrongAppCode(person.seed, nth) }
      return (await app.request('DELETE', '/v1/auth/2FA', { token: await token(), json })).status
    }
    const statuses = []
    for (let nth = 0; nth < 7; nth++) statuses.push(await guess(nth))
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429])
    app.advance(15 * MINUTE_MS)
  }
})

/** Requests that are refused although their code is right. */
const refusedAnyway: [
  name: string,
  state: 'active' | 'deactivated',
  use: (person: Protected, twofa: string) => Promise<TestAnswer>,
][] = [
  [
    'a password change with a wrong old password',
    'active',
    ({ accessToken: token }, twofa) =>
      app.request('PUT', '/v1/user/password', {
        token,
        json: { password: NEW, oldPassword: 'Wrong123!', twofa },
      }),
  ],
  [
    'a proof with a wrong password',
    'active',
    ({ accessToken: token }, twofa) =>
      app.request('POST', '/v1/auth/confirm', { token, json: { password: 'Wrong123!', twofa } }),
  ],
  [
    'a sign-in to a deactivated account',
    'deactivated',
    ({ email, password }, twofa) =>
      app.request('POST', '/v1/auth/login', { json: { email, password, twofa } }),
  ],
  [
    'a restore during an outage of the table',
    'deactivated',
    async ({ email, password }, twofa) => {
      app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
      const answer = await app.request('POST', '/api/users/restore', { json: { email, password, twofa } })
      app.stack.dynamo.clearFaults()
      return answer
    },
  ],
]

test.each(refusedAnyway)(
  '%s counts no right code as a wrong one, and does not use it up, but hides no wrong code',
  async (_, state, use) => {
    const person = await protectedPerson()
    const { email, password, accessToken: token, seed } = person
    if (state === 'deactivated') await app.request('PUT', '/api/users/current/deactivate', { token })
    const [code] = person.recoveryCodes
    for (const twofa of Array.from({ length: 6 }, (_, nth) => (nth % 2 ? appCode(seed) : code!))) {
      const { status, body } = await use(person, twofa)
      expect([status >= 400, body.type]).toEqual([true, expect.not.stringContaining('two_factor')])
    }
    const guess = async (nth: number) => {
      const wrong = wrongAppCode(seed, nth)
      const json = { email, password, twofa: wrong }
      // The vault locks an active account after its wrong passwords.
      const answer =
        state === 'deactivated'
          ? await app.request('POST', '/api/users/restore', { json })
          : await app.request('DELETE', '/v1/auth/2FA', { token, json: { code: wrong } })
      return [answer.status, answer.body.type]
    }
    const wrongCode = [401, 'urn:bursar:problem:two_factor_invalid']
    for (const nth of [0, 1, 2, 3]) expect(await guess(nth)).toEqual(wrongCode)
    await use(person, appCode(seed))
    expect(await guess(4)).toEqual(wrongCode)
    expect(await guess(5)).toEqual([429, 'urn:bursar:problem:two_factor_locked'])
    app.advance(15 * MINUTE_MS)
    const json = { email, password, twofa: code }
    expect((await app.request('POST', '/api/users/restore', { json })).status).toBe(200)
  },
)

test('neither a code that was used before nor an outage of the service that opens seeds counts as a wrong code', async () => {
  const person = await protectedPerson()
  const used = appCode(person.seed)
  expect(await signInStatus(app, person, person.password, used)).toBe(200)
  for (let count = 0; count < 6; count++)
    expect(await signInStatus(app, person, person.password, used)).toBe(401)
  app.stack.kms.addFault({ fault: 'error-before', match: 'Decrypt', times: 60 })
  for (let count = 0; count < 6; count++)
    expect(await signInStatus(app, person, person.password, appCode(person.seed, 1))).toBe(503)
  app.stack.kms.clearFaults()
  expect(await signInStatus(app, person, person.password, appCode(person.seed, 1))).toBe(200)
})

test('an account with two factors on cannot enrol another seed', async () => {
  const person = await protectedPerson()
  const begun = await app.request('POST', '/v1/auth/2FA', { token: person.accessToken })
  expectError(v1.enrolTwoFactor, begun, 'two_factor_enabled')
  const verified = await app.request('POST', '/v1/auth/verify2FA', {
    token: person.accessToken,
    json: { code: wrongAppCode(person.seed) },
  })
  expectError(v1.verifyTwoFactor, verified, 'two_factor_enabled')
})

describe('an intruder with an open session', () => {
  test('cannot change the password without the current one once the sign-in is over 10 minutes old', async () => {
    const person = await app.signUp()
    app.advance(10 * MINUTE_MS + 1)
    for (const [path, json] of [
      ['/v1/user/password', { password: NEW }],
      ['/v1/user/password', { password: NEW, oldPassword: 'Guess123!' }],
      ['/api/users/current', { newPassword: NEW }],
      ['/api/users/current', { newPassword: NEW, oldPassword: 'Guess123!' }],
      ['/rest/users/' + person.username, { password: NEW }],
    ] as const) {
      const { status } = await app.request('PUT', path, { token: person.accessToken, json })
      expect([path, Math.floor(status / 100)]).toEqual([path, 4])
    }
    expect(await sessionStatuses(app, person)).toEqual([200, 200])
    expect(await signInStatus(app, person, NEW)).toBe(401)
    expect(await signInStatus(app, person, person.password)).toBe(200)
  })

  test('can neither bypass two factors with the password nor switch them off', async () => {
    const person = await protectedPerson()
    const { accessToken: token, password: oldPassword } = person
    const change = await app.request('PUT', '/v1/user/password', {
      token,
      json: { password: NEW, oldPassword },
    })
    expectError(v1.changePassword, change, 'two_factor_required')
    const off = await app.request('DELETE', '/v1/auth/2FA', { token, json: {} })
    expectError(v1.removeTwoFactor, off, 'invalid_request')
  })

  test('cannot suppress the mail about a new address to the old address', async () => {
    const person = await app.signUp()
    const json = { email: `new.${person.email}` }
    await app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json })
    expect(app.stack.mail.messages(person.email).at(-1)?.subject).toBe(
      'Your e-mail address is about to change',
    )
  })
})

test('every endpoint with a password refuses one of 1 MB before any call', async () => {
  const person = await app.signUp()
  const huge = `${'a'.repeat(1_000_000)}!`
  const long = `${'a'.repeat(60_000)}!`
  const { email, username, accessToken: token } = person
  const code = '0'.repeat(32)
  for (const [method, path, fields, json] of [
    ['POST', '/rest/users', ['password'], { username: 'someone-new', email: 'someone.new@mail.example' }],
    ['POST', '/v1/auth/login', ['password'], { email }],
    ['POST', '/api/users/restore', ['password'], { email }],
    ['PUT', '/v1/user/password', ['password', 'oldPassword'], { password: NEW }],
    ['PUT', '/api/users/current', ['oldPassword', 'newPassword'], { oldPassword: 'x', newPassword: NEW }],
    ['PUT', '/v1/user/resetPassword', ['password'], { code }],
  ] as const) {
    for (const field of fields) {
      for (const [password, status] of [
        [huge, 413],
        [long, 400],
      ] as const) {
        app.resetCalls()
        const answer = await app.request(method, path, { token, json: { ...json, [field]: password } })
        expect([path, field, answer.status]).toEqual([path, field, status])
        const { dynamodb, cognito, kms } = app.calls()
        const { Query = 0, ...others } = dynamodb
        expect([path, others, cognito, kms, Query <= 1]).toEqual([path, {}, {}, {}, true])
      }
    }
  }
  expect(await signInStatus(app, { email }, person.password)).toBe(200)
  expect(username).toBe(person.username)
})

test('a seed and recovery codes are shown once and never again', async () => {
  const person = await protectedPerson()
  const token = person.accessToken
  const shown = []
  for (const path of [
    '/v1/user',
    '/api/users/current',
    `/rest/users/${person.username}`,
    '/v1/keys',
    '/api/users/current/notifications',
  ]) {
    shown.push((await app.request('GET', path, { token })).text)
  }
  for (const secret of [person.seed, ...person.recoveryCodes]) expect(shown.join()).not.toContain(secret)
  const other = await app.signUp()
  const first = await enrol(app, other)
  const second = await enrol(app, await app.login(other))
  expect(second).not.toBe(first)
})
