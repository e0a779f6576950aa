import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { keys } from '../../core/table/keys.ts'
import { rest } from '../../functions/rest/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { signInStatus } from '../support/credentials.ts'
import { newPerson, type Person, type SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { accountIdOf } from '../support/state.ts'

const app = await startApp()

const FORM = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' }
const NAME_RULE = 'username must be 3 to 32 of A-Z a-z 0-9 . _ - and start with a letter or digit'

const update = ({ username, accessToken: token }: SignedInPerson, json: object) =>
  app.request('PUT', `/rest/users/${username}`, { token, json })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(rest.updateUser, answer, code)
const activate = (code: string) => app.request('POST', '/v1/auth/activate', { json: { code } })
const mailsTo = (email: string) => app.stack.mail.messages(email)

async function stored({ accountId }: Pick<SignedInPerson, 'accountId'>) {
  return (await app.ports()).table.get(keys.profile(accountId))
}

/** Asserts that `change` does not change the account. */
async function expectUntouched(person: SignedInPerson, change: () => Promise<void>): Promise<void> {
  const [before, sent] = [await stored(person), mailsTo(person.email).length]
  await change()
  expect(await stored(person)).toEqual(before)
  expect(mailsTo(person.email)).toHaveLength(sent)
}

test('200: the changed account in Skylink’s envelope', async () => {
  const person = await app.signUp()
  const { username } = newPerson()
  app.advance(1_000)
  const { status, body } = await update(person, { username })
  expect(status).toBe(200)
  expect(body).toEqual({
    status: 1,
    content: {
      allusage: 0,
      created: '2026-11-21T12:00:00.000Z',
      email: person.email,
      lastlogin: '2026-11-21T12:00:00.000Z',
      role: 'free',
      status: 'verified',
      type: 'invoice',
      update: '2026-11-21T12:00:01.000Z',
      username,
    },
  })
  const read = await app.request('GET', `/rest/users/${username}`, { token: person.accessToken })
  expect(read.body).toEqual(body)
})

test.each<[string, (person: Person) => object]>([
  ['JSON', ({ username, email }) => ({ json: { username, email } })],
  [
    'Skylink’s form with its leading ?&',
    ({ username, email }) => ({ body: `?&username=${username}&email=${email}`, headers: FORM }),
  ],
  ['an encoded form', ({ username, email }) => ({ form: { username, email } })],
])(
  '200: username and address change together, by %s, the address once it is confirmed',
  async (_, content) => {
    const person = await app.signUp()
    const wanted = newPerson()
    const options = { token: person.accessToken, ...content(wanted) }
    const { status, body } = await app.request('PUT', `/rest/users/${person.username}`, options)
    expect([status, body.content]).toMatchObject([200, { username: wanted.username, email: person.email }])
    await activate(app.mailedCode(wanted.email))
    expect(await app.login({ ...wanted, password: person.password })).toMatchObject({
      accountId: person.accountId,
    })
  },
)

test('200: the old username is free; the new one is taken and can sign in', async () => {
  const person = await app.signUp()
  const { username } = newPerson()
  await update(person, { username })
  const login = (name: string) =>
    app.request('POST', '/v1/auth/login', { json: { username: name, password: person.password } })
  expect([(await login(username)).status, (await login(person.username)).status]).toEqual([200, 401])
  expect((await app.register(newPerson({ username }))).status).toBe(409)
  expect((await app.register(newPerson({ username: person.username }))).status).toBe(201)
  const old = await app.request('GET', `/rest/users/${person.username}`, { token: person.accessToken })
  expect(old.status).toBe(404)
})

test('200: a rename keeps sessions, password and full name; without a full name the username is shown', async () => {
  const person = await app.signUp()
  const { username } = newPerson()
  await update(person, { username })
  const current = () => app.request('GET', '/api/users/current', { token: person.accessToken })
  expect((await current()).body.name).toBe(username)
  await app.request('PUT', '/api/users/current', { token: person.accessToken, json: { name: 'Ada Love' } })
  await update({ ...person, username }, { username: newPerson().username })
  expect((await current()).body.name).toBe('Ada Love')
})

test('200: a username and an address may change in case only, and no mail is sent', async () => {
  const person = await app.signUp()
  const shown = { username: person.username.toUpperCase(), email: person.email.toUpperCase() }
  const sent = mailsTo(person.email).length
  const { status, body } = await update(person, shown)
  expect([status, body.content]).toMatchObject([200, shown])
  expect(mailsTo(person.email)).toHaveLength(sent)
  expect(await signInStatus(app, person, person.password)).toBe(200)
  for (const taken of [{ username: person.username }, { email: person.email }])
    expect((await app.register(newPerson(taken))).status).toBe(409)
})

test('200: the same names again change nothing but the time', async () => {
  const person = await app.signUp()
  const { username, email } = person
  const { status, body } = await update(person, { username, email })
  expect([status, body.content]).toMatchObject([200, { username, email, status: 'verified' }])
  expect(mailsTo(email)).toHaveLength(1)
})

test('200: a confirmed address stays until the new one is confirmed, and both get a mail', async () => {
  const person = await app.signUp()
  const { email } = newPerson()
  const { body } = await update(person, { email })
  expect(body.content).toMatchObject({ email: person.email, status: 'verified' })
  expect(await signInStatus(app, person, person.password)).toBe(200)
  expect(await signInStatus(app, { email }, person.password)).toBe(401)
  expect(mailsTo(email)).toMatchObject([{ subject: 'Confirm your new e-mail address' }])
  const [, told, ...more] = mailsTo(person.email)
  expect(told).toMatchObject({ subject: 'Your e-mail address is about to change' })
  expect([told?.text.includes(email), more]).toEqual([false, []])
  expect((await activate(app.mailedCode(email))).status).toBe(200)
  expect(await signInStatus(app, { email }, person.password)).toBe(200)
})

test('200: a username may change while a change of address is pending', async () => {
  const person = await app.signUp()
  const [{ email }, { username }] = [newPerson(), newPerson()]
  await update(person, { email })
  expect((await update(person, { username })).body.content).toMatchObject({ username, email: person.email })
  expect((await activate(app.mailedCode(email))).status).toBe(200)
})

test('200: a confirmed account gets the same answer for a taken address as for a free one, but not the address', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const { body } = await update(person, { email: other.email })
  const free = await update(await app.signUp(), { email: newPerson().email })
  expect(Object.keys(body.content)).toEqual(Object.keys(free.body.content))
  expect([free.status, body.content.email]).toEqual([200, person.email])
  const confirming = await activate(app.mailedCode(other.email))
  expect([confirming.status, confirming.body.type]).toEqual([409, 'urn:bursar:problem:email_taken'])
  expect(await signInStatus(app, person, person.password)).toBe(200)
  expect((await app.login(other)).accountId).toBe(other.accountId)
})

test('200: a mail that the provider refused is sent a minute later, with a valid code', async () => {
  const person = await app.signUp()
  const { email } = newPerson()
  // Mails that earlier tests have queued.
  await app.job('send-mail')
  app.stack.mail.addFault({ fault: 'error-before', times: 4 })
  expect((await update(person, { email })).status).toBe(200)
  expect(mailsTo(email)).toEqual([])
  app.advance(60_000)
  expect(await app.job('send-mail')).toMatchObject({ sent: 2 })
  expect(mailsTo(person.email)).toHaveLength(2)
  expect((await activate(app.mailedCode(email))).status).toBe(200)
})

test.each([
  ['as it is', (text: string) => text],
  ['in another case', (text: string) => text.toUpperCase()],
])(
  '409: for a taken username %s, the address in the same request does not change either',
  async (_, variant) => {
    const [person, other] = [await app.signUp(), await app.signUp()]
    const { email } = newPerson()
    await expectUntouched(person, async () => {
      refused(await update(person, { username: variant(other.username), email }), 'username_taken')
    })
    expect(mailsTo(email)).toEqual([])
    expect((await app.register(newPerson({ email }))).status).toBe(201)
  },
)

test('409: after ten concurrent renames of one account every name but the last is free', async () => {
  const person = await app.signUp()
  const wanted = Array.from({ length: 10 }, () => newPerson().username)
  const answers = await Promise.all(wanted.map((username) => update(person, { username })))
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    // After another rename has won, the path no longer names the caller.
    refused(answer, answer.status === 404 ? 'not_found' : 'conflict')
  }
  const kept = (await stored(person))?.username
  expect(wanted).toContain(kept)
  for (const username of [person.username, ...wanted]) {
    const { status } = await app.register(newPerson({ username }))
    expect([username, status]).toEqual([username, username === kept ? 409 : 201])
  }
})

test('409: concurrent renames, registrations and confirmations for one username and address have one winner', async () => {
  const wanted = newPerson()
  const { username, email } = wanted
  const [renaming, moving] = [
    await Promise.all([1, 2, 3].map(() => app.signUp())),
    [1, 2, 3].map(() => newPerson()),
  ]
  for (const person of moving) await app.register(person)
  const confirming = await app.signUp()
  await update(confirming, { email })
  const code = app.mailedCode(email)
  const answers = await Promise.all([
    ...renaming.map((person) => update(person, { username })),
    ...moving.map((person) => app.register({ ...person, email })),
    activate(code),
    ...[1, 2].map((n) => app.register(newPerson({ username, password: `Hello${n}23!` }))),
    ...[1, 2].map(() => app.register(newPerson({ email }))),
  ])
  const [names, addresses] = [
    [...answers.slice(0, 3), ...answers.slice(7, 9)],
    [...answers.slice(3, 7), ...answers.slice(9)],
  ]
  expect(names.filter(({ status }) => status < 300)).toHaveLength(1)
  for (const contest of [names, addresses])
    expect(contest.filter(({ status }) => status >= 300 && status !== 409)).toEqual([])
  // The mailed code takes the address even from the one who set it before without proving it.
  expect(answers[6]?.status).toBe(200)
  const moved = moving.map(async (person) => ({ accountId: await accountIdOf(app, person.username) }))
  const accounts = await Promise.all([...renaming, ...(await Promise.all(moved)), confirming].map(stored))
  expect(accounts.filter((each) => each?.username === username).length).toBeLessThanOrEqual(1)
  const active = accounts.filter((each) => each?.status === 'active')
  expect(active.filter((each) => each?.email === email)).toHaveLength(1)
  for (const taken of [{ username }, { email }])
    expect((await app.register(newPerson(taken))).status).toBe(409)
})

test('400: an address to which no mail can go, unless it is the present one, which an import has brought', async () => {
  const { username } = newPerson()
  const person = await app.signUp({ email: `${username}ë@mail.example` })
  await expectUntouched(person, async () => {
    const { status, body } = await update(person, { email: `x${person.email}` })
    expect([status, body.message]).toEqual([400, expect.stringMatching(/^email must have no accents /)])
  })
  const names = { username: newPerson().username, email: person.email }
  expect((await update(person, names)).status).toBe(200)
  expect(await stored(person)).toMatchObject(names)
})

test('404: another account’s username and an unknown one, whatever the body', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  await expectUntouched(other, async () => {
    for (const username of [other.username, newPerson().username]) {
      refused(await update({ ...person, username }, { email: newPerson().email }), 'not_found')
    }
  })
})

/** One person is shared by all refused requests, because these change nothing. */
let shared: Promise<SignedInPerson> | undefined
const bystander = () => (shared ??= app.signUp())

test.each([
  ['neither field', {}, 'username or email is required'],
  ['a username of two characters', { username: 'ab' }, NAME_RULE],
  ['an address without a domain', { email: 'ada' }, 'email must be an e-mail address'],
  ['a null', { username: null }, 'username must be of type string'],
  ['a password', { username: 'free-name', password: 'Hello123!' }, 'password is not a field of this request'],
  ['a role', { username: 'free-name', role: 'paid' }, 'role is not a field of this request'],
  ['a status', { username: 'free-name', status: 'verified' }, 'status is not a field of this request'],
])('400: %s, as JSON or as a form, and nothing changes', async (_, wrong, message) => {
  const person = await bystander()
  await expectUntouched(person, async () => {
    const { status, body } = await update(person, wrong)
    expect({ status, body }).toEqual({ status: 400, body: { status: 0, message } })
    if (Object.values(wrong).some((value) => typeof value !== 'string')) return
    const form = wrong as Record<string, string>
    const options = { token: person.accessToken, headers: FORM, body: `${new URLSearchParams(form)}&` }
    const asForm = await app.request('PUT', `/rest/users/${person.username}`, options)
    expect([asForm.status, asForm.body]).toEqual([400, { status: 0, message }])
  })
})

test('503: a failed database write leaves the old username, and a retry succeeds', async () => {
  const person = await app.signUp()
  const { username } = newPerson()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  refused(await update(person, { username }), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect((await stored(person))?.username).toBe(person.username)
  expect((await update(person, { username })).status).toBe(200)
})
