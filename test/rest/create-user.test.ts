import { expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { resetCode } from '../support/credentials.ts'
import { newPerson, type Person } from '../support/people.ts'
import { accountIdOf } from '../support/state.ts'

const app = await startApp()

const FORM = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' }

/** Skylink's example as on its page: not encoded, with `?&` in front. */
const seedForm = ({ username, email, password }: Person) =>
  `?&username=${username}&email=${email}&password=${password}`

const created = ({ username, email }: Person) => ({
  status: 1,
  content: {
    allusage: 0,
    created: '2026-11-21T12:00:00.000Z',
    email,
    lastlogin: null,
    role: 'free',
    status: 'unverified',
    type: 'invoice',
    update: '2026-11-21T12:00:00.000Z',
    username,
  },
})

const refused = (message: string) => ({ status: 0, message })

const NAME_RULE = 'username must be 3 to 32 of A-Z a-z 0-9 . _ - and start with a letter or digit'

/** Asserts that somebody who has registered can sign in once the address is confirmed. */
async function expectUsable(person: Person): Promise<void> {
  expect((await app.confirm(person)).status).toBe(200)
  await app.login(person)
}

test('201: a new account in Skylink’s envelope', async () => {
  const person = newPerson()
  const { status, body } = await app.register(person)
  expect(status).toBe(201)
  expect(body).toEqual(created(person))
})

test('201: Skylink’s form with its leading ?&', async () => {
  const person = newPerson()
  const { status, body } = await app.request('POST', '/rest/users', {
    body: seedForm(person),
    headers: FORM,
  })
  expect({ status, body }).toEqual({ status: 201, body: created(person) })
  await expectUsable(person)
})

test('201: a form with percent-encoded and plus-encoded characters is decoded once', async () => {
  const person = newPerson({ password: 'Hello %21 + 123!' })
  const { status } = await app.request('POST', '/rest/users', { form: { ...person } })
  expect(status).toBe(201)
  await expectUsable(person)
})

test.each([
  ['JSON', (person: Person) => ({ json: person })],
  ['a form', (person: Person) => ({ body: seedForm(person), headers: FORM })],
])('201: %s to the path with a trailing slash', async (_, content) => {
  const person = newPerson()
  const { status, body } = await app.request('POST', '/rest/users/', content(person))
  expect({ status, body }).toEqual({ status: 201, body: created(person) })
})

test('201: the name is shown as entered, including capitals', async () => {
  const person = newPerson({ username: 'Ada.Love-lace_1', email: 'Ada@Mail.example' })
  expect((await app.register(person)).body).toEqual(created(person))
})

test('201: one mail with a code goes to the address', async () => {
  const person = newPerson()
  await app.register(person)
  expect(app.stack.mail.messages(person.email)).toEqual([
    {
      to: person.email,
      subject: 'Confirm your e-mail address',
      text: expect.stringMatching(/^Hello,\n[\s\S]*\n[0-9a-f]{32}\n/),
      html: expect.stringContaining(app.mailedCode(person.email)),
      sentAt: '2026-11-21T12:00:00.000Z',
    },
  ])
})

test('201: a registration costs nothing at the vault, and the table has its password in no readable form', async () => {
  const person = newPerson()
  app.resetCalls()
  await app.register(person)
  expect(app.calls().cognito).toEqual({})
  const { table } = await app.ports()
  const accountId = await accountIdOf(app, person.username)
  const stored = JSON.stringify(await table.list(keys.account(accountId), ''))
  expect(stored).toContain('registeredPassword')
  expect(stored).not.toContain(person.password)
})

test('201: the same names and password with another address move the account there, while nobody has confirmed it', async () => {
  const mistyped = newPerson()
  await app.register(mistyped)
  const old = app.mailedCode(mistyped.email)
  const stranger = { code: await resetCode(app, mistyped.email), password: 'Stranger1!' }
  const person = { ...mistyped, email: newPerson().email }
  const [first, again] = [await app.register(person), await app.register(person)]
  expect([first.status, again.status]).toEqual([201, 201])
  expect(first.body.content).toMatchObject({ email: person.email, status: 'unverified' })
  expect(app.stack.mail.messages(person.email)).toHaveLength(1)
  expect((await app.request('POST', '/v1/auth/activate', { json: { code: old } })).status).toBe(400)
  expect((await app.request('PUT', '/v1/user/resetPassword', { json: stranger })).status).toBe(400)
  expect((await app.register(newPerson({ email: mistyped.email }))).status).toBe(201)
  await expectUsable(person)
  expect((await app.register({ ...person, email: newPerson().email })).status).toBe(409)
})

// As many as passwords may be tried at once.
test('201: five copies at once of a registration with another address move the account once', async () => {
  const mistyped = newPerson()
  await app.register(mistyped)
  const person = { ...mistyped, email: newPerson().email }
  const answers = await Promise.all(Array.from({ length: 5 }, () => app.register(person)))
  expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(201))
  expect(app.stack.mail.messages(person.email)).toHaveLength(1)
  await expectUsable(person)
})

test('201: a move is repeated for an hour, however old the account is', async () => {
  const mistyped = newPerson()
  await app.register(mistyped)
  app.advance(26 * 3_600_000)
  const person = { ...mistyped, email: newPerson().email }
  for (const afterMs of [0, 3_600_000]) {
    app.advance(afterMs)
    expect((await app.register(person)).status).toBe(201)
  }
  app.advance(600_000)
  expect((await app.register(person)).status).toBe(409)
  expect(app.stack.mail.messages(person.email)).toHaveLength(1)
})

test('409: a confirmed account moves nowhere, also while the vault has not made its user', async () => {
  const person = newPerson()
  await app.register(person)
  app.stack.cognito.addFault({ fault: 'error-before', match: 'AdminCreateUser' })
  expect((await app.confirm(person)).status).toBe(200)
  app.stack.cognito.clearFaults()
  const victim = newPerson()
  expect((await app.register({ ...person, email: victim.email })).status).toBe(409)
  expect((await app.register(person)).status).toBe(409)
  expect(app.stack.mail.messages(victim.email)).toEqual([])
  expect((await app.register(victim)).status).toBe(201)
})

test('409: wrong passwords lock the username for the registration, and never tell which address belongs to it', async () => {
  const person = newPerson()
  await app.register(person)
  const guess = { ...person, password: 'Guessed123!' }
  const answers = []
  for (let nth = 0; nth < 7; nth++) answers.push(await app.register({ ...guess, email: newPerson().email }))
  answers.push(await app.register(guess), await app.register({ ...person, email: newPerson().email }))
  expect(new Set(answers.map(({ status, body }) => `${status} ${body.message}`))).toEqual(
    new Set(['409 Another account has this username.']),
  )
  const { email, password } = { ...guess }
  const login = await app.request('POST', '/v1/auth/login', { json: { email, password } })
  expect(login.status).toBe(401)
  app.advance(60_000)
  await expectUsable(person)
})

test('409: another password, or an address that is taken, moves no account', async () => {
  const [person, other] = [newPerson(), newPerson()]
  for (const each of [person, other]) await app.register(each)
  const answers = [
    await app.register({ ...person, password: 'Another123!' }),
    await app.register({ ...person, password: 'Another123!', email: newPerson().email }),
    await app.register({ ...person, email: other.email }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([409, 409, 409])
  await expectUsable(person)
})

test('429: a move counts as a registration of the mailbox to which it goes', async () => {
  const { username } = newPerson()
  for (let nth = 0; nth < 5; nth++) {
    const person = newPerson()
    await app.register(person)
    const email = `${username}+${nth}@mail.example`
    const { status } = await app.register({ ...person, email })
    expect(status).toBe(nth < 4 ? 201 : 429)
  }
})

test.each([
  ['as it is', (name: string) => name],
  ['that differs in case only', (name: string) => name.toUpperCase()],
])('409: a taken username %s', async (_, variant) => {
  const person = newPerson()
  await app.register(person)
  const other = newPerson({ username: variant(person.username), password: 'Another123!' })
  const { status, body } = await app.register(other)
  expect({ status, body }).toEqual({ status: 409, body: refused('Another account has this username.') })
})

test.each([
  ['as it is', (address: string) => address],
  ['that differs in case only', (address: string) => address.toUpperCase()],
  ['that differs in composition only', (address: string) => address.normalize('NFD')],
])('409: a taken e-mail address %s', async (_, variant) => {
  const { username } = newPerson()
  const person = newPerson({ email: `${username}@zoë.example` })
  const before = await app.register(person)
  const { status, body } = await app.register(newPerson({ email: variant(person.email) }))
  expect(before.status).toBe(201)
  expect({ status, body }).toEqual({ status: 409, body: refused('Another account has this address.') })
})

test('201: the same registration sent twice makes one account and sends one mail', async () => {
  const person = newPerson()
  const [first, second] = [await app.register(person), await app.register(person)]
  expect([first.status, second.status]).toEqual([201, 201])
  expect(second.body).toEqual(first.body)
  expect(app.stack.mail.messages(person.email)).toHaveLength(1)
})

test('409: a refused registration leaves nothing behind', async () => {
  const taken = newPerson()
  await app.register(taken)
  const users = app.stack.cognito.users().length
  const person = newPerson({ username: taken.username, password: 'Another123!' })
  await app.register(person)
  expect(app.stack.cognito.users()).toHaveLength(users)
  expect(app.stack.mail.messages(person.email)).toEqual([])
  expect((await app.register(newPerson({ email: person.email }))).status).toBe(201)
})

test.each([
  ['a username that is missing', { username: undefined }, 'username is required'],
  ['a username of two characters', { username: 'ab' }, NAME_RULE],
  ['a username of 33 characters', { username: 'a'.repeat(33) }, NAME_RULE],
  ['an address without a domain', { email: 'ada' }, 'email must be an e-mail address'],
  [
    'an address over 254 characters',
    { email: `ada@${'a.'.repeat(122)}example` },
    'email must have at most 254 characters',
  ],
  ['a password of seven characters', { password: 'Hello1!' }, 'password must have at least 8 characters'],
  [
    'a password of 129 characters',
    { password: '!'.repeat(129) },
    'password must have at most 128 characters',
  ],
  [
    'a password with a line break of Unicode, which the vault refuses',
    { password: 'Hello\u2028123!' },
    'password must not begin or end with a space or have control characters',
  ],
  ['a password without a symbol', { password: 'Hello1234=' }, 'password must have one of ! @ # $ % & *'],
  ['a field that Skylink’s page does not have', { role: 'paid' }, 'role is not a field of this request'],
  ['a field of another type', { username: 1 }, 'username must be of type string'],
  [
    'two wrong fields, both named',
    { username: 'ab', role: 1 },
    `${NAME_RULE}; role is not a field of this request`,
  ],
])('400: %s', async (_, change, message) => {
  const { status, body } = await app.request('POST', '/rest/users', { json: { ...newPerson(), ...change } })
  expect({ status, body }).toEqual({ status: 400, body: refused(message) })
})

test('503: the same request succeeds once the database answers again', async () => {
  const person = newPerson()
  app.stack.dynamo.addFault({ fault: 'error-before' })
  const during = await app.register(person)
  app.stack.dynamo.clearFaults()
  expect(during.status).toBe(503)
  expect(during.body.status).toBe(0)
  expect((await app.register(person)).status).toBe(201)
})

test('a caller who accepts problem details gets them, with the code; every other gets Skylink’s message', async () => {
  const answerTo = async (accept: string) => {
    const headers = { accept }
    return (await app.request('POST', '/rest/users', { headers, json: { username: 'ada' } })).body
  }
  const problem = await answerTo('application/json, application/problem+json')
  expect(problem).toMatchObject({ type: 'urn:bursar:problem:invalid_request', status: 400 })
  for (const accept of ['*/*', 'application/json', 'application/*']) {
    expect(Object.keys(await answerTo(accept))).toEqual(['status', 'message'])
  }
})
