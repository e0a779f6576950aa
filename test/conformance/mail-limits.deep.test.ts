import { expect, test } from 'vitest'
import { mailboxOf } from '../../core/limits/mailbox.ts'
import { HOUR_MS, MINUTE_MS } from '../../core/time.ts'
import { startApp } from '../support/app.ts'
import { resetCode, withTwoFactor } from '../support/credentials.ts'
import { newPerson } from '../support/people.ts'

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

test('forty registrations with plus addresses send six mails; the others follow in later hours, and their codes work', async () => {
  const tagged = taggedAs('forty', 40)
  expect(new Set(await registerAll(tagged))).toEqual(new Set([201]))
  expect(mailsTo(...tagged)).toBe(6)
  for (let hour = 1; hour <= 3; hour++) {
    app.advance(HOUR_MS)
    await app.job('send-mail')
    app.advance(15 * MINUTE_MS)
    await app.job('send-mail')
    const sent = mailsTo(...tagged)
    expect(sent).toBeGreaterThan(6)
    expect(sent).toBeLessThanOrEqual(6 * (hour * 2))
  }
  const late = tagged.filter((email) => mailsTo(email) > 0).at(-1) ?? ''
  expect((await activate(app.mailedCode(late))).status).toBe(200)
})

test('whoever fills a mailbox with plus addresses does not keep its owner from registering', async () => {
  await registerAll(taggedAs('ada', 8))
  const owner = newPerson({ email: 'ada@mail.example' })
  await app.register(owner)
  expect((await activate(app.mailedCode(owner.email))).status).toBe(200)
})

test.each([
  [
    'dots',
    Array.from(
      { length: 9 },
      (_, n) => `${'adalovelace'.slice(0, n + 1)}.${'adalovelace'.slice(n + 1)}@mail.example`,
    ),
  ],
  ['upper case', Array.from({ length: 9 }, (_, n) => `${n % 2 ? 'EVE' : 'eve'}+${n}@Mail.example`)],
])('mails to one mailbox by addresses with %s are counted together', async (_, emails) => {
  await registerAll(emails)
  expect(mailsTo(...emails)).toBe(6)
})

test('a mailbox is named by its address without dots and tags, and tagged forms have a limit of their own', () => {
  const same = ['ada.l@gmail.com', 'adal@googlemail.com', 'A.D.A.L@Gmail.com']
  expect(new Set(same.map(mailboxOf)).size).toBe(1)
  expect(mailboxOf('ada.l+x@gmail.com')).toBe(mailboxOf('adal+y+z@gmail.com'))
  expect(mailboxOf('ada.l+x@gmail.com')).not.toBe(mailboxOf('adal@gmail.com'))
  expect(mailboxOf('ada@a.example')).not.toBe(mailboxOf('ada@b.example'))
})

test('changes of address by many accounts send one mailbox six mails an hour', async () => {
  const emails = []
  for (let n = 0; n < 9; n++) {
    const person = await app.signUp()
    const email = `victim+${n}@mail.example`
    emails.push(email)
    await app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json: { email } })
  }
  expect(mailsTo(...emails)).toBe(6)
})

test('a provider that fails does not use up the limit of a mailbox', async () => {
  const emails = taggedAs('outage', 6)
  app.stack.mail.addFault({ fault: 'error-before' })
  await registerAll(emails)
  app.advance(MINUTE_MS)
  await app.job('send-mail')
  app.stack.mail.clearFaults()
  app.advance(10 * MINUTE_MS)
  await app.job('send-mail')
  expect(mailsTo(...emails)).toBe(6)
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
