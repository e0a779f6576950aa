import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { resetCode, sessionStatuses, signInStatus, wrongHalf } from '../support/credentials.ts'
import { newPerson, type Person, type SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { accountIdOf } from '../support/state.ts'

const app = await startApp()

const DAY_MS = 24 * 3_600_000

const activate = (code: unknown) => app.request('POST', '/v1/auth/activate', { json: { code } })

/** Registers a person. @returns the person with the code from the mail. */
async function registered(overrides: Partial<Person> = {}) {
  const person = newPerson(overrides)
  await app.register(person)
  return { ...person, accountId: await accountIdOf(app, person.username), code: app.mailedCode(person.email) }
}

/** The units of the account, and all its ledger entries. */
async function units(accountId: string) {
  const { table } = await app.ports()
  const { l = 0 } = (await table.get(keys.quota(accountId))) ?? {}
  return { left: l, ledger: await table.list(keys.account(accountId), 'LEDGER#') }
}

const trialOf = (accountId: string) => ({
  left: 100,
  ledger: [
    { ...keys.ledger(accountId, 1), seq: 1, atMs: Date.now(), kind: 'trial', units: 100, amountCents: 0 },
  ],
})

const nothing = { left: 0, ledger: [] }

const invalidCode = ({ status, body }: Awaited<ReturnType<typeof activate>>) => {
  expect([status, body.type]).toEqual([400, 'urn:bursar:problem:invalid_code'])
}

test('200: the address is confirmed and the 100 trial units are credited', async () => {
  const { accountId, username, code, ...person } = await registered()
  app.advance(1_000)
  const update = new Date().toISOString()
  const { status, body } = await activate(code)
  expect({ status, body }).toEqual({ status: 200, body: { message: 'E-mail address is confirmed' } })
  expect(await units(accountId)).toEqual(trialOf(accountId))
  const { accessToken: token } = await app.login({ username, ...person })
  const account = await app.request('GET', `/rest/users/${username}`, { token })
  expect(account.body.content).toMatchObject({ status: 'verified', update })
})

test('200: the vault has a user from now on, with the password of the registration, and the table none', async () => {
  const { accountId, code, ...person } = await registered()
  expect(app.stack.cognito.users()).not.toContain(accountId)
  await activate(code)
  expect(app.stack.cognito.users()).toContain(accountId)
  expect(JSON.stringify(await profileOf(accountId))).not.toMatch(
    /registeredPassword|unenrolled|changingUntil/,
  )
  expect((await app.login(person)).accountId).toBe(accountId)
})

test('200: while the vault does not answer; a repeat of the code makes its user, and so does the first sign-in', async () => {
  for (const settle of [
    ({ code }: Person & { code: string }) => activate(code),
    (person: Person & { code: string }) => app.login(person),
  ]) {
    const person = await registered()
    app.stack.cognito.addFault({ fault: 'error-before', match: 'AdminCreateUser' })
    app.logs.length = 0
    expect((await activate(person.code)).status).toBe(200)
    app.stack.cognito.clearFaults()
    expect(app.logs.join()).toContain('the first sign-in has to make the user of a confirmed account')
    expect(app.stack.cognito.users()).not.toContain(person.accountId)
    // Until then the first request may still be at the vault.
    app.advance(30_000)
    await settle(person)
    expect(app.stack.cognito.users()).toContain(person.accountId)
    expect(JSON.stringify(await profileOf(person.accountId))).not.toContain('registeredPassword')
    await app.login(person)
  }
})

const profileOf = async (accountId: string) => (await app.ports()).table.get(keys.profile(accountId))

test('200: the code in upper case', async () => {
  expect((await activate((await registered()).code.toUpperCase())).status).toBe(200)
})

test('200: one millisecond before the code is 24 hours old', async () => {
  const { code } = await registered()
  app.advance(DAY_MS - 1)
  expect((await activate(code)).status).toBe(200)
})

test('200: ten concurrent uses are answered alike, and grant the trial once', async () => {
  const { accountId, code } = await registered()
  const answers = await Promise.all(Array.from({ length: 10 }, () => activate(code)))
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
  expect(await units(accountId)).toEqual(trialOf(accountId))
})

/** Registers one account for each address, and confirms all of them at once. @returns their ids */
async function confirmedAtOnce(addresses: readonly string[]): Promise<string[]> {
  const people = []
  for (const email of addresses) people.push(await registered({ email }))
  const answers = await Promise.all(people.map(({ code }) => activate(code)))
  expect(answers.map(({ status }) => status)).toEqual(addresses.map(() => 200))
  return people.map(({ accountId }) => accountId)
}

const noticesOf = async (accountId: string) =>
  (await (await app.ports()).table.list(keys.account(accountId), 'NOTICE#')).map(
    ({ messageType }) => messageType,
  )

test('200: of accounts of one mailbox that confirm at once, one gets the trial; the others are told why not', async () => {
  const { username } = newPerson()
  const forms = ['', '+a', '+b', '+c+d'].flatMap((tag) => [`${username}${tag}`, `${username}.x${tag}`])
  const mailboxes = ['', 'x'].map((end) => forms.filter((form) => form.includes('.x') === (end === 'x')))
  for (const names of mailboxes) {
    const accounts = await confirmedAtOnce(names.map((name) => `${name}@mail.example`))
    const had = await Promise.all(accounts.map(async (id) => ({ id, left: (await units(id)).left })))
    expect(had.map(({ left }) => left).sort()).toEqual([0, 0, 0, 100])
    for (const { id, left } of had) {
      expect(await noticesOf(id)).toEqual(left === 0 ? ['trial_used'] : [])
      expect((await units(id)).ledger).toMatchObject([{ seq: 1, kind: 'trial', units: left }])
    }
  }
})

test('200: an account gets the trial again a year after its mailbox had it', async () => {
  const { username } = newPerson()
  const [first = ''] = await confirmedAtOnce([`${username}@mail.example`])
  app.advance(365 * DAY_MS - 60_000)
  const [soon = ''] = await confirmedAtOnce([`${username}+soon@mail.example`])
  app.advance(60_000)
  const [later = ''] = await confirmedAtOnce([`${username}+later@mail.example`])
  const left = [first, soon, later].map(async (id) => (await units(id)).left)
  expect(await Promise.all(left)).toEqual([100, 0, 100])
})

test('200: the right code after four wrong ones', async () => {
  const { code } = await registered()
  for (const at of [1, 2, 3, 4]) invalidCode(await activate(wrongHalf(code, at)))
  expect((await activate(code)).status).toBe(200)
})

test('400: a code that is 24 hours old', async () => {
  const { accountId, code } = await registered()
  app.advance(DAY_MS)
  invalidCode(await activate(code))
  expect(await units(accountId)).toEqual(nothing)
})

test('200: a used code until it expires, and the trial is granted once', async () => {
  const { accountId, code } = await registered()
  await activate(code)
  expect((await activate(code)).status).toBe(200)
  expect(await units(accountId)).toEqual(trialOf(accountId))
  app.advance(DAY_MS)
  invalidCode(await activate(code))
})

test('400: a code that was never sent', async () => {
  invalidCode(await activate('0123456789abcdef0123456789abcdef'))
})

test.each([
  [
    'one after another',
    async (tries: (() => Promise<unknown>)[]) => {
      for (const attempt of tries) await attempt()
    },
  ],
  ['at once', (tries: (() => Promise<unknown>)[]) => Promise.all(tries.map((attempt) => attempt()))],
])('400: the right code after five wrong ones, %s', async (_, run) => {
  const { accountId, code } = await registered()
  await run([1, 2, 3, 4, 5].map((at) => async () => invalidCode(await activate(wrongHalf(code, at)))))
  invalidCode(await activate(code))
  expect(await units(accountId)).toEqual(nothing)
})

test('400: one account’s look-up half with another’s secret half', async () => {
  const [ada, eve] = [await registered(), await registered()]
  invalidCode(await activate(ada.code.slice(0, 16) + eve.code.slice(16)))
})

test('400: wrong tries revoke the code of one account only', async () => {
  const [ada, eve] = [await registered(), await registered()]
  for (const at of [1, 2, 3, 4, 5]) await activate(wrongHalf(ada.code, at))
  expect((await activate(eve.code)).status).toBe(200)
})

test.each([
  ['31 digits', 'a'.repeat(31)],
  ['33 digits', 'a'.repeat(33)],
  ['a letter beyond f', `g${'a'.repeat(31)}`],
])('400: %s', async (_, code) => {
  const { status, body } = await activate(code)
  expect([status, body.type]).toEqual([400, 'urn:bursar:problem:invalid_request'])
  expect(body.errors).toEqual([{ field: 'code', message: 'is not valid' }])
})

test.each(['deactivated', 'suspended'])(
  '403: the right code of an account that is %s; a wrong code does not reveal the status',
  async (state) => {
    const { accountId, code } = await registered()
    await (await app.ports()).table.update(keys.profile(accountId), expr`SET #status = ${state}`)
    invalidCode(await activate(wrongHalf(code)))
    const { status, body } = await activate(code)
    expect([status, body.type]).toEqual([403, `urn:bursar:problem:account_${state}`])
    expect(await units(accountId)).toEqual(nothing)
  },
)

test('503: after a lost answer of the database the trial is credited once', async () => {
  const { accountId, code } = await registered()
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'TransactWriteItems', times: 2 })
  expect((await activate(code)).status).toBe(503)
  expect((await activate(code)).status).toBe(200)
  expect(await units(accountId)).toEqual(trialOf(accountId))
})

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.activate, answer, code)

/** Requests a change of address. @returns the new address with the code mailed there. */
async function askChange({ username, accessToken: token }: SignedInPerson) {
  const { email } = newPerson()
  const { status } = await app.request('PUT', `/rest/users/${username}`, { token, json: { email } })
  expect(status).toBe(200)
  return { email, code: app.mailedCode(email) }
}

/** The account as its owner sees it after signing in again, at this address by now. */
async function account({ username, password }: SignedInPerson) {
  const { body } = await app.request('POST', '/v1/auth/login', { json: { username, password } })
  const token = body.accessToken
  return (await app.request('GET', `/rest/users/${username}`, { token })).body.content
}

test('200: the code mailed to a new address makes it the account’s, and frees the old one', async () => {
  const person = await app.signUp()
  const before = await units(person.accountId)
  const { email, code } = await askChange(person)
  app.advance(1_000)
  const { status, body } = await activate(code)
  expect({ status, body }).toEqual({ status: 200, body: { message: 'E-mail address is confirmed' } })
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
  expect(await account(person)).toMatchObject({ email, status: 'verified', update: new Date().toISOString() })
  expect(await signInStatus(app, { email }, person.password)).toBe(200)
  expect(await signInStatus(app, person, person.password)).toBe(401)
  expect(await units(person.accountId)).toEqual(before)
  expect((await app.register(newPerson({ email: person.email }))).status).toBe(201)
})

test('200: afterwards resets go to the new address only, and codes mailed to the old one are revoked', async () => {
  const person = await app.signUp()
  const stale = await resetCode(app, person.email)
  const { email, code } = await askChange(person)
  await activate(code)
  const json = { code: stale, password: 'Changed1!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(400)
  await app.job('send-mail')
  const sent = app.stack.mail.messages(person.email).length
  await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
  await app.job('send-mail')
  expect(app.stack.mail.messages(person.email)).toHaveLength(sent)
  const fresh = { code: await resetCode(app, email), password: 'Changed1!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json: fresh })).status).toBe(204)
})

test('200: ten concurrent uses of a change’s code are answered alike', async () => {
  const person = await app.signUp()
  const { email, code } = await askChange(person)
  const answers = await Promise.all(Array.from({ length: 10 }, () => activate(code)))
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
  expect((await account(person)).email).toBe(email)
})

test('400: the code of a change that a later change superseded, even if both went to one person', async () => {
  const person = await app.signUp()
  const [first, second] = [await askChange(person), await askChange(person)]
  invalidCode(await activate(first.code))
  expect((await activate(second.code)).status).toBe(200)
  invalidCode(await activate(first.code))
  expect((await account(person)).email).toBe(second.email)
})

test('400: a change’s code after five wrong tries, or after 24 hours', async () => {
  const person = await app.signUp()
  const burnt = await askChange(person)
  for (const nth of [0, 1, 2, 3, 4]) invalidCode(await activate(wrongHalf(burnt.code, nth)))
  invalidCode(await activate(burnt.code))
  const used = await askChange(person)
  for (const _ of [1, 2]) expect((await activate(used.code)).status).toBe(200)
  const old = await askChange(await app.login({ ...person, email: used.email }))
  app.advance(DAY_MS)
  invalidCode(await activate(old.code))
  expect(await signInStatus(app, used, person.password)).toBe(200)
})

test.each(['deactivated', 'suspended'] as const)(
  '403: a change’s code of an account that is %s',
  async (state) => {
    const person = await app.signUp()
    const { email, code } = await askChange(person)
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #status = ${state}`)
    refused(await activate(code), `account_${state}`)
    expect((await table.get(keys.profile(person.accountId)))?.email).toBe(person.email)
    expect((await app.register(newPerson({ email }))).status).toBe(201)
  },
)

test('409: if another account took the new address meanwhile, nothing changes', async () => {
  const person = await app.signUp()
  const { email, code } = await askChange(person)
  const other = await app.signUp({ email: email.toUpperCase() })
  refused(await activate(code), 'email_taken')
  expect((await account(person)).email).toBe(person.email)
  expect(await signInStatus(app, person, person.password)).toBe(200)
  expect((await app.login(other)).accountId).toBe(other.accountId)
  const next = await askChange(person)
  expect((await activate(next.code)).status).toBe(200)
})
