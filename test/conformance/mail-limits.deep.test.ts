import { expect, test } from 'vitest'
import { isVariant, mailboxOf } from '../../core/limits/mailbox.ts'
import { HOUR_MS, MINUTE_MS } from '../../core/time.ts'
import { rest } from '../../functions/rest/routes.ts'
import { startApp } from '../support/app.ts'
import { resetCode, withTwoFactor } from '../support/credentials.ts'
import { newPerson } from '../support/people.ts'
import { expectError } from './contract.ts'

/**
 * Mails that strangers can cause. No stranger fills a mailbox, none keeps its owner from the mail or the code that
 * they wait for, and no answer tells what became of a request.
 */
const app = await startApp()

const mailsTo = (...emails: string[]) => emails.flatMap((email) => app.stack.mail.messages(email)).length
const setPassword = (code: string, password = 'Changed1!') =>
  app.request('PUT', '/v1/user/resetPassword', { json: { code, password } })
const activate = (code: string) => app.request('POST', '/v1/auth/activate', { json: { code } })
const resend = async (email: string) => {
  expect((await app.request('POST', '/v1/auth/resend', { json: { email } })).status).toBe(204)
  return app.job('send-mail')
}

/** Registers these addresses. @returns the statuses. */
const registerAll = async (emails: string[]) =>
  Promise.all(emails.map(async (email) => (await app.register(newPerson({ email }))).status))

/** Addresses that lead to one mailbox. */
const taggedAs = (name: string, length: number) =>
  Array.from({ length }, (_, n) => `${name}+${n}@mail.example`)

/** Forms of one address that many providers deliver to one mailbox. */
const formsOf = (name: string) => [
  `${name}@mail.example`,
  ...Array.from({ length: 8 }, (_, n) => `${name.slice(0, n + 1)}.${name.slice(n + 1)}@mail.example`),
  ...taggedAs(name, 20),
  `${name.toUpperCase()}+X@Mail.example`,
]

test('of forty registrations with plus addresses four are made that day, and the others are told when to come back', async () => {
  const tagged = taggedAs('forty', 40)
  const answers = await Promise.all(tagged.map((email) => app.register(newPerson({ email }))))
  const refused = answers.filter(({ status }) => status !== 201)
  expect(refused).toHaveLength(36)
  for (const answer of refused) expectError(rest.createUser, answer, 'too_many_requests')
  expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(Number(refused[0]?.headers.get('retry-after'))).toBeLessThanOrEqual(24 * 3_600)
  expect(mailsTo(...tagged)).toBe(4)
})

test('one mailbox has at most five accounts a day, whatever the forms of its address, and more the next day', async () => {
  const statuses = []
  for (const email of formsOf('adalovelace').toReversed())
    statuses.push((await app.register(newPerson({ email }))).status)
  expect(statuses.filter((status) => status === 201)).toHaveLength(5)
  expect(statuses.filter((status) => status === 429)).toHaveLength(statuses.length - 5)
  app.advance(24 * HOUR_MS)
  const next = newPerson({ email: 'adalovelace+next@mail.example' })
  expect((await app.register(next)).status).toBe(201)
})

test('a repeat of a registration is neither counted nor refused when its mailbox has had its accounts', async () => {
  const first = newPerson({ email: 'repeat@mail.example' })
  for (let sent = 0; sent < 8; sent++) expect((await app.register(first)).status).toBe(201)
  for (const email of formsOf('repeat').slice(1, 5))
    expect((await app.register(newPerson({ email }))).status).toBe(201)
  expect((await app.register(newPerson({ email: 're.peat@mail.example' }))).status).toBe(429)
  expect((await app.register(first)).status).toBe(201)
  const json = { name: 'Ada', surname: 'L', email: 'repeat+v1@mail.example', password: 'Hello123!' }
  expect((await app.request('POST', '/v1/auth/register', { json })).status).toBe(429)
})

test('where a mailbox has had its accounts, a taken address is refused as a free one is', async () => {
  for (const email of formsOf('fullmailbox').slice(0, 5)) await app.register(newPerson({ email }))
  const answers = [
    await app.register(newPerson({ email: 'fullmailbox@mail.example' })),
    await app.register(newPerson({ email: 'ful.lmailbox@mail.example' })),
    await app.register(newPerson({ email: 'fullmailbox+free@mail.example' })),
  ]
  for (const answer of answers) expectError(rest.createUser, answer, 'too_many_requests')
})

test('whoever fills a mailbox with plus addresses does not keep its owner from registering, nor from a reset', async () => {
  const tagged = taggedAs('ada', 8)
  await registerAll(tagged)
  for (const email of tagged) {
    await app.request('POST', '/v1/user/resetPassword', { json: { email } })
    await resend(email)
  }
  const owner = newPerson({ email: 'ada@mail.example' })
  expect((await app.register(owner)).status).toBe(201)
  const code = app.mailedCode(owner.email)
  expect((await setPassword(await resetCode(app, owner.email))).status).toBe(204)
  expect((await activate(code)).status).toBe(200)
})

test('a mailbox is named by its address without dots and tags', () => {
  const same = [
    'ada.l@gmail.com',
    'adal@googlemail.com',
    'A.D.A.L@Gmail.com',
    'ada.l+x@gmail.com',
    'adal+y+z@gmail.com',
  ]
  expect(new Set(same.map(mailboxOf)).size).toBe(1)
  expect(mailboxOf('ada@a.example')).not.toBe(mailboxOf('ada@b.example'))
  expect(same.map(isVariant)).toEqual([true, false, true, true, true])
  expect(['ada.l@mail.example', 'adal@mail.example', 'adal+x@mail.example'].map(isVariant)).toEqual([
    false,
    false,
    true,
  ])
})

test('changes of address by thirty accounts send one mailbox six mails an hour', async () => {
  const forms = formsOf('victimsname')
  for (const [n, email] of forms.entries()) {
    const { username, accessToken: token } = await app.signUp({ email: `mover-${n}@mail.example` })
    const { status } = await app.request('PUT', `/rest/users/${username}`, { token, json: { email } })
    expect(status).toBe(200)
  }
  expect(mailsTo(...forms)).toBe(6)
  for (let hour = 1; hour <= 3; hour++) {
    app.advance(HOUR_MS)
    await app.job('send-mail')
    app.advance(15 * MINUTE_MS)
    await app.job('send-mail')
    const sent = mailsTo(...forms)
    expect(sent).toBeGreaterThan(6)
    expect(sent).toBeLessThanOrEqual(6 * (hour * 2))
  }
  const late = forms.filter((email) => mailsTo(email) > 0).at(-1) ?? ''
  expect((await activate(app.mailedCode(late))).status).toBe(200)
})

test('a provider that fails does not use up the limit of a mailbox', async () => {
  const emails = taggedAs('outage', 4)
  app.stack.mail.addFault({ fault: 'error-before' })
  await registerAll(emails)
  app.advance(MINUTE_MS)
  await app.job('send-mail')
  app.stack.mail.clearFaults()
  app.advance(10 * MINUTE_MS)
  await app.job('send-mail')
  expect(mailsTo(...emails)).toBe(4)
})

test('an attacker who asks for resets all the time neither fills the mailbox nor keeps the owner from a code that works', async () => {
  const person = await app.signUp()
  for (let minute = 0; minute < 2 * 60; minute += 4) {
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    app.advance(4 * MINUTE_MS)
  }
  expect(mailsTo(person.email)).toBeLessThanOrEqual(1 + 2 * 5)
  app.advance(30 * MINUTE_MS)
  for (let count = 0; count < 6; count++) await resetCode(app, person.email)
  app.advance(15 * MINUTE_MS)
  const before = mailsTo(person.email)
  const code = await resetCode(app, person.email)
  expect(mailsTo(person.email)).toBe(before)
  expect((await setPassword(code)).status).toBe(204)
})

test('an attacker does not make the code useless that the owner is about to type', async () => {
  const person = await app.signUp()
  const code = await resetCode(app, person.email)
  for (let count = 0; count < 9; count++) await resetCode(app, person.email)
  expect((await setPassword(code)).status).toBe(204)
})

test('an owner whose mails of the hour are used up gets another one after a reset', async () => {
  const person = await app.signUp()
  for (let count = 0; count < 6; count++) await resetCode(app, person.email)
  expect((await setPassword(app.mailedCode(person.email))).status).toBe(204)
  const again = await resetCode(app, person.email)
  expect((await setPassword(again, 'Another1!')).status).toBe(204)
})

test('a code that was used or revoked is never made valid again', async () => {
  const person = await app.signUp()
  const used = await resetCode(app, person.email)
  expect((await setPassword(used)).status).toBe(204)
  for (let count = 0; count < 8; count++) await resetCode(app, person.email)
  expect((await setPassword(used, 'Another1!')).status).toBe(400)
})

test('two factors: a new enrolment voids a mailed code, and the next request mails another one', async () => {
  const person = await app.signUp()
  for (let count = 0; count < 6; count++) await resetCode(app, person.email)
  const stale = app.mailedCode(person.email)
  const { recoveryCodes } = await withTwoFactor(app, person)
  const code = await resetCode(app, person.email)
  expect(code).not.toBe(stale)
  const json = { code, password: 'Changed1!', twofa: recoveryCodes[0] }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(204)
})

test('resend with the pending address mails that change’s code again; the owner sees the address until it is confirmed', async () => {
  const person = await app.signUp()
  const email = `new-${person.email}`
  const read = async () => (await app.request('GET', '/v1/user', { token: person.accessToken })).body
  expect(await read()).not.toHaveProperty('pendingEmail')
  await app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json: { email } })
  const code = app.mailedCode(email)
  expect(await read()).toMatchObject({ email: person.email, pendingEmail: email })
  expect(await resend(email.toUpperCase())).toMatchObject({ asked: 1 })
  expect(app.stack.mail.messages(email).map(({ subject }) => subject)).toEqual([
    'Confirm your new e-mail address',
    'Confirm your new e-mail address',
  ])
  expect(app.mailedCode(email)).toBe(code)
  app.advance(25 * HOUR_MS)
  await resend(email)
  const fresh = app.mailedCode(email)
  expect(fresh).not.toBe(code)
  expect((await activate(fresh)).status).toBe(200)
  const signedIn = await app.login({ ...person, email })
  const now = (await app.request('GET', '/v1/user', { token: signedIn.accessToken })).body
  expect([now.email, now.pendingEmail]).toEqual([email, undefined])
  expect(await resend(email)).toMatchObject({ asked: 0 })
})

test('resend mails nothing for a change that was cancelled or replaced', async () => {
  const person = await app.signUp()
  const put = (email: string) =>
    app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json: { email } })
  const [first, second] = [`first-${person.email}`, `second-${person.email}`]
  await put(first)
  await put(second)
  expect(await resend(first)).toMatchObject({ asked: 0 })
  expect(await resend(second)).toMatchObject({ asked: 1 })
  await put(person.email)
  expect(await resend(second)).toMatchObject({ asked: 0 })
})
