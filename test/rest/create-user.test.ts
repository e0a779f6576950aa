import { expect, test } from 'vitest'
import { registerAccount } from '../../core/account/register.ts'
import { DomainError } from '../../core/errors.ts'
import { startApp } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'

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

/** Starts a registration that crashes at the vault. */
async function leavePending(person: Person): Promise<void> {
  const ports = await app.ports()
  const crash = async () => {
    throw new Error('crash')
  }
  await registerAccount({ ...ports, identity: { ...ports.identity, enroll: crash } }, person).catch(() => {})
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
  await app.login(person)
})

test('201: a form with percent-encoded and plus-encoded characters is decoded once', async () => {
  const person = newPerson({ password: 'Hello %21 + 123!' })
  const { status } = await app.request('POST', '/rest/users', { form: { ...person } })
  expect(status).toBe(201)
  await app.login(person)
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

test('201: one mail with a code goes to the address, and the account can sign in before it is confirmed', async () => {
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
  await app.login(person)
})

test('201: the same request resumes a registration that crashed', async () => {
  const person = newPerson()
  await leavePending(person)
  expect((await app.register(person)).status).toBe(201)
  expect(app.stack.mail.messages(person.email)).toHaveLength(1)
  await app.login(person)
})

test('409: another request does not resume a registration that crashed', async () => {
  const person = newPerson()
  await leavePending(person)
  const { email } = newPerson()
  const answers = [
    await app.register({ ...person, password: 'Another123!' }),
    await app.register({ ...person, email }),
    await app.register({ ...person, username: `${person.username}x` }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([409, 409, 409])
})

test.each([
  ['as it is', (name: string) => name],
  ['that differs in case only', (name: string) => name.toUpperCase()],
])('409: a taken username %s', async (_, variant) => {
  const person = newPerson()
  await app.register(person)
  const { status, body } = await app.register(newPerson({ username: variant(person.username) }))
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
  const person = newPerson({ username: taken.username })
  await app.register(person)
  expect(app.stack.cognito.users()).toHaveLength(users)
  expect(app.stack.mail.messages(person.email)).toEqual([])
  expect((await app.register(newPerson({ email: person.email }))).status).toBe(201)
})

test('400: a password that only the vault refuses leaves the names free', async () => {
  const person = newPerson()
  // A line separator is not a control character, but Cognito's pattern does not allow it.
  const { status, body } = await app.register({ ...person, password: 'Hello\u2028123!' })
  expect({ status, body }).toEqual({ status: 400, body: refused('Choose another password.') })
  expect((await app.register(person)).status).toBe(201)
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

test('503: the same request resumes the registration after a crash of the vault', async () => {
  const person = newPerson()
  const ports = await app.ports()
  const crash = async (accountId: string, password: string) => {
    await ports.identity.enroll(accountId, password)
    throw new DomainError('temporarily_unavailable')
  }
  await expect(
    registerAccount({ ...ports, identity: { ...ports.identity, enroll: crash } }, person),
  ).rejects.toMatchObject({ code: 'temporarily_unavailable' })
  expect((await app.register(person)).status).toBe(201)
  await app.login(person)
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
