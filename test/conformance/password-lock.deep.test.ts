import { describe, expect, test } from 'vitest'
import { startApp, type TestRequest } from '../support/app.ts'
import { newPerson, type Person, type SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
const WRONG = 'Wrong123!'

const problem = ({ status, body }: TestAnswer) => [status, body?.type?.split(':').at(-1)]
const LOCKED = [429, 'password_locked']

const login = (json: object) => app.request('POST', '/v1/auth/login', { json })

async function times<T>(count: number, run: () => Promise<T>): Promise<T[]> {
  const answers: T[] = []
  for (let n = 0; n < count; n++) answers.push(await run())
  return answers
}

/** Every place where a signed-in caller types a password. */
const places: [place: string, (person: SignedInPerson, password: string) => Promise<TestAnswer>][] = (
  [
    ['POST /v1/auth/confirm', (password) => ({ json: { password } })],
    ['PUT /v1/user/password', (oldPassword) => ({ json: { password: 'Another1!', oldPassword } })],
    ['PUT /api/users/current', (oldPassword) => ({ json: { newPassword: 'Another1!', oldPassword } })],
    ['POST /v1/keys', (password) => ({ json: { name: 'k' }, headers: { 'x-proof-password': password } })],
  ] as [string, (password: string) => TestRequest][]
).map(([key, options]) => {
  const [method = '', path = ''] = key.split(' ')
  return [
    key,
    ({ accessToken: token }, password) => app.request(method, path, { token, ...options(password) }),
  ]
})

describe('signing in', () => {
  test('five wrong passwords lock a name, the right password included, until Retry-After has passed', async () => {
    const { email, password } = await app.signUp()
    const wrong = await times(5, () => login({ email, password: WRONG }))
    expect(wrong.map(problem)).toEqual(Array(5).fill([401, 'invalid_credentials']))
    const locked = await login({ email, password })
    expect([problem(locked), locked.headers.get('retry-after')]).toEqual([LOCKED, '1'])
    app.advance(999)
    expect(problem(await login({ email, password }))).toEqual(LOCKED)
    app.advance(1)
    expect((await login({ email, password })).status).toBe(200)
    // The count has begun again.
    await times(4, () => login({ email, password: WRONG }))
    expect((await login({ email, password })).status).toBe(200)
  })

  test('each further wrong password doubles the wait, up to 15 minutes, and Retry-After is never too short', async () => {
    const { email, password } = await app.signUp()
    await times(4, () => login({ email, password: WRONG }))
    const waits = []
    for (let n = 5; n <= 15; n++) {
      expect(problem(await login({ email, password: WRONG }))).toEqual([401, 'invalid_credentials'])
      const locked = await login({ email, password: WRONG })
      expect(problem(locked)).toEqual(LOCKED)
      const seconds = Number(locked.headers.get('retry-after'))
      waits.push(seconds)
      app.advance(seconds * 1000)
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900])
    expect((await login({ email, password })).status).toBe(200)
  })

  test.each(['email', 'username'] as const)(
    'an unknown %s is locked as a known one: the same answers and calls, also after the wait',
    async (name) => {
      const [known, unknown] = [await app.signUp(), newPerson()]
      const observe = async (person: Person) => {
        app.resetCalls()
        const answer = await login({ [name]: person[name], password: WRONG })
        return [problem(answer), answer.headers.get('retry-after'), app.calls()]
      }
      for (const advanceMs of [0, 0, 0, 0, 0, 0, 1000, 0, 2000, 3999, 1, 0, 15 * 60_000, 0]) {
        app.advance(advanceMs)
        expect(await observe(unknown)).toEqual(await observe(known))
      }
    },
  )

  test('a lock of one name says nothing about another name of the same account', async () => {
    const { email, username } = await app.signUp()
    const unknown = newPerson()
    await times(9, () => login({ email, password: WRONG }))
    expect(problem(await login({ email, password: WRONG }))).toEqual(LOCKED)
    for (let n = 0; n < 7; n++) {
      const [other, foreign] = [{ username }, { username: unknown.username }]
      expect(problem(await login({ ...other, password: WRONG }))).toEqual(
        problem(await login({ ...foreign, password: WRONG })),
      )
    }
  })

  test('right passwords are not counted, whatever happens next', async () => {
    const person = await app.signUp()
    const { email, password, accessToken: token } = person
    await app.request('PUT', '/api/users/current/deactivate', { token })
    const answers = await times(8, () => login({ email, password }))
    expect(answers.map(problem)).toEqual(Array(8).fill([403, 'account_deactivated']))
  })

  test('wrong passwords at once are all counted', async () => {
    const { email, password } = await app.signUp()
    await Promise.all(Array.from({ length: 5 }, () => login({ email, password: WRONG })))
    expect(problem(await login({ email, password }))).toEqual(LOCKED)
  })
})

test('restoring an account counts as signing in', async () => {
  const { email, password, accessToken: token } = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token })
  const restore = (typed: string) =>
    app.request('POST', '/api/users/restore', { json: { email, password: typed } })
  await times(5, () => restore(WRONG))
  expect(problem(await restore(password))).toEqual(LOCKED)
  expect(problem(await login({ email, password }))).toEqual(LOCKED)
  app.advance(1000)
  expect((await restore(password)).status).toBe(200)
})

test('a repeated registration does not try passwords without a limit, and a lock looks like a name that is taken', async () => {
  const person = newPerson()
  await app.register(person)
  const answers = await times(5, () => app.register({ ...person, password: WRONG }))
  answers.push(await app.register(person))
  expect(new Set(answers.map(({ status, body }) => `${status} ${body.message}`)).size).toBe(1)
  expect(answers[5]?.status).toBe(409)
  app.advance(1000)
  expect((await app.register(person)).status).toBe(201)
})

describe.each(places)('%s', (_, send) => {
  test('five wrong passwords are 403, the sixth is 429, and the right one passes after Retry-After', async () => {
    const person = await app.signUp()
    const wrong = await times(5, () => send(person, WRONG))
    expect(wrong.map(problem)).toEqual(Array(5).fill([403, 'wrong_password']))
    const locked = await send(person, person.password)
    expect([problem(locked), locked.headers.get('retry-after')]).toEqual([LOCKED, '1'])
    // Signing in says the same, by either name.
    for (const name of [{ email: person.email }, { username: person.username }])
      expect(problem(await login({ ...name, password: person.password }))).toEqual(LOCKED)
    app.advance(1000)
    expect((await send(person, person.password)).status).toBeLessThan(300)
  })

  test('a lock by somebody who signs in is told to the owner as what it is', async () => {
    const person = await app.signUp()
    await times(5, () => login({ email: person.email, password: WRONG }))
    expect(problem(await send(person, person.password))).toEqual(LOCKED)
  })
})
