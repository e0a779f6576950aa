import { beforeEach, describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { handler as noteMailEvent } from '../../functions/jobs/note-mail-event.ts'
import { startApp } from '../support/app.ts'
import { asFunction } from '../support/aws-calls.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'

const app = await startApp()
const handler = (event: unknown) =>
  asFunction('functions/jobs/note-mail-event.ts', () => noteMailEvent(event))
beforeEach(app.startAfresh)

const HOUR_MS = 60 * 60_000
const DAY_MS = 24 * HOUR_MS

/** Reports what became of the newest mail to an address, as SES does. @returns what the job answers */
const report = async (to: string, what: string, change: object = {}) =>
  (await handler({ ...app.stack.mail.report(to, what), ...change })).mail

const read = async ({ accessToken }: SignedInPerson) =>
  (await app.request('GET', '/v1/user', { token: accessToken })).body
const notices = async ({ accessToken }: SignedInPerson): Promise<string[]> =>
  (await app.request('GET', '/api/users/current/notifications', { token: accessToken })).body
    .filter(({ messageType }: { messageType: string }) => messageType === 'email-undeliverable')
    .map(({ message }: { message: string }) => message)
const mailsTo = (email: string) => app.stack.mail.messages(email).length
const setEmail = ({ username, accessToken }: SignedInPerson, email: string) =>
  app.request('PUT', `/rest/users/${username}`, { token: accessToken, json: { email } })

/** Asks for a reset code and lets the job mail it. @returns how many mails that led to */
async function resetMails({ email }: { email: string }): Promise<number> {
  const count = () =>
    app.stack.mail.messages(email).filter(({ subject }) => subject === 'Reset your password').length
  const before = count()
  expect((await app.request('POST', '/v1/user/resetPassword', { json: { email } })).status).toBe(204)
  await app.job('send-mail')
  return count() - before
}

describe('a hard bounce', () => {
  test('marks the address: the account shows it, has one notice, and gets no more mail', async () => {
    const person = await app.signUp()
    expect(await read(person)).not.toHaveProperty('emailUndeliverable')
    expect(await report(person.email, 'bounce')).toBe('marked')
    expect(await read(person)).toMatchObject({ emailUndeliverable: true })
    expect(await notices(person)).toEqual([
      expect.stringMatching(/came back.* set the address again.* set another one/),
    ])
    expect(await resetMails(person)).toBe(0)
  })

  test('of the same mail again, or of an earlier one, is known, and its notice is the only one', async () => {
    const person = await app.signUp()
    const event = app.stack.mail.report(person.email, 'bounce')
    const all = await Promise.all([1, 2, 3].map(() => handler(event)))
    expect(all.filter(({ mail }) => mail === 'marked')).toHaveLength(1)
    expect((await handler(event)).mail).toBe('repeated')
    expect(await report(person.email, 'bounce')).toBe('known')
    expect(await notices(person)).toHaveLength(1)
  })

  test('of an address that the account no longer has marks nothing', async () => {
    const person = newPerson()
    await app.register(person)
    const event = app.stack.mail.report(person.email, 'bounce')
    const moved = { ...person, email: `new-${person.email}` }
    expect((await app.register(moved)).status).toBe(201)
    expect((await handler(event)).mail).toBe('other address')
    await app.confirm(moved)
    expect(await read(await app.login(moved))).not.toHaveProperty('emailUndeliverable')
  })

  test('that arrives after the owner has confirmed the address with a code is outdated', async () => {
    const person = newPerson()
    await app.register(person)
    const code = app.mailedCode(person.email)
    const event = app.stack.mail.report(person.email, 'bounce')
    app.advance(HOUR_MS)
    expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(200)
    expect((await handler(event)).mail).toBe('outdated')
    expect(await read(await app.login(person))).not.toHaveProperty('emailUndeliverable')
  })

  test('is compared by the domain in ASCII and in any case', async () => {
    const { username } = newPerson()
    const person = await app.signUp({ email: `${username}@Bücher.example` })
    expect(await report(`${username.toUpperCase()}@xn--bcher-kva.example`, 'bounce')).toBe('marked')
    expect(await read(person)).toMatchObject({ emailUndeliverable: true })
  })

  test('drops the mails that were queued before it, and says so in the log without the address', async () => {
    const person = await app.signUp()
    app.stack.mail.addFault({ fault: 'error-before', times: 4 })
    expect((await setEmail(person, `new-${person.email}`)).status).toBe(200)
    await report(person.email, 'bounce')
    const before = mailsTo(person.email)
    app.advance(60_000)
    app.logs.length = 0
    // The mail to the old address is dropped; the code goes to the new one.
    expect(await app.job('send-mail')).toMatchObject({ sent: 1, failed: 0, dropped: 1 })
    expect(mailsTo(person.email)).toBe(before)
    expect(app.logs.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({
        accountId: person.accountId,
        template: 'email-is-changing',
        reason: 'undeliverable',
      }),
    )
    expect(app.logs.join()).not.toContain(person.email)
  })

  test('of a new address that waits for its confirmation leaves the account’s own address alone', async () => {
    const person = await app.signUp()
    const wanted = `new-${person.email}`
    await setEmail(person, wanted)
    expect(await report(wanted, 'bounce')).toBe('marked')
    expect(await read(person)).not.toHaveProperty('emailUndeliverable')
    expect(await notices(person)).toEqual([
      expect.stringMatching(/keeps its old address.* ask for the change again/),
    ])
    expect(await resetMails(person)).toBe(1)
  })
})

describe('an owner gets out of it', () => {
  async function bounced() {
    const person = await app.signUp()
    await report(person.email, 'bounce')
    app.stack.mail.clearSuppressed()
    return person
  }

  test('by setting the address again', async () => {
    const person = await bounced()
    expect((await setEmail(person, person.email)).status).toBe(200)
    expect(await read(person)).not.toHaveProperty('emailUndeliverable')
    expect(await resetMails(person)).toBe(1)
  })

  test('by confirming another address', async () => {
    const person = await bounced()
    const wanted = `new-${person.email}`
    expect((await setEmail(person, wanted)).status).toBe(200)
    expect(await read(person)).toMatchObject({ emailUndeliverable: true })
    const json = { code: app.mailedCode(wanted) }
    expect((await app.request('POST', '/v1/auth/activate', { json })).status).toBe(200)
    const session = await app.login({ ...person, email: wanted })
    expect(await read(session)).not.toHaveProperty('emailUndeliverable')
    const before = mailsTo(person.email)
    expect(await resetMails({ email: wanted })).toBe(1)
    // The mail about the change to the address that bounced is dropped, too.
    expect(mailsTo(person.email)).toBe(before)
  })

  test('without a session: after a day a reset is mailed again, and its code ends the mark', async () => {
    const person = await bounced()
    app.advance(DAY_MS - 1)
    expect(await resetMails(person)).toBe(0)
    app.advance(1)
    expect(await resetMails(person)).toBe(1)
    const json = { code: app.mailedCode(person.email), password: 'Changed1!' }
    expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(204)
    const session = await app.login({ ...person, password: 'Changed1!' })
    expect(await read(session)).not.toHaveProperty('emailUndeliverable')
  })

  test('but not of a complaint, which only the owner’s own act ends', async () => {
    const person = await app.signUp()
    expect(await report(person.email, 'complaint')).toBe('marked')
    app.stack.mail.clearSuppressed()
    app.advance(3 * DAY_MS)
    expect(await resetMails(person)).toBe(0)
    await setEmail(await app.login(person), person.email)
    expect(await resetMails(person)).toBe(1)
  })
})

test('a complaint has a notice of its own, also about an address that bounced before', async () => {
  const person = await app.signUp()
  await report(person.email, 'bounce')
  app.advance(1)
  expect(await report(person.email, 'complaint')).toBe('marked')
  expect(await notices(person)).toEqual([
    expect.stringContaining('reported as spam'),
    expect.stringContaining('came back'),
  ])
})

test('a mail that SES accepts and suppresses counts as not delivered, with a notice and a log line of its own', async () => {
  const person = await app.signUp()
  await report(person.email, 'bounce')
  app.advance(1)
  await setEmail(person, person.email)
  expect(await resetMails(person)).toBe(0)
  const [event, ...more] = app.stack.mail.takeEvents()
  expect(more).toEqual([])
  app.logs.length = 0
  expect((await handler(event)).mail).toBe('marked')
  expect(app.logs.join()).toContain('suppression list')
  expect((await notices(person))[0]).toMatch(/was not delivered, because earlier mail.* contact us/)
  expect(await read(person)).toMatchObject({ emailUndeliverable: true })
})

test('mail is not tried at an imported address that SES cannot take, and its owner sees that', async () => {
  const { username } = newPerson()
  const owner = await app.signUp({ email: `${username}ü@mail.example` })
  expect(await resetMails(owner)).toBe(0)
  expect(await read(owner)).toMatchObject({ emailUndeliverable: true })
})

test.each([
  ['soft-bounce', 'passing'],
  ['not-spam', 'passing'],
  ['reject', 'rejected'],
])('%s marks nothing', async (what, outcome) => {
  const person = await app.signUp()
  expect(await report(person.email, what)).toBe(outcome)
  expect(await read(person)).not.toHaveProperty('emailUndeliverable')
  expect(await notices(person)).toEqual([])
})

test('an event about an account that does not exist changes nothing', async () => {
  const person = await app.signUp()
  const event = app.stack.mail.report(person.email, 'bounce')
  const { table } = await app.ports()
  await table.remove(keys.profile(person.accountId))
  expect((await handler(event)).mail).toBe('no such account')
})

test('an outage is thrown, so that EventBridge retries, and a lost answer is one notice', async () => {
  const person = await app.signUp()
  const event = app.stack.mail.report(person.email, 'bounce')
  app.stack.dynamo.addFault({ fault: 'error-before' })
  await expect(handler(event)).rejects.toMatchObject({ code: 'temporarily_unavailable' })
  app.stack.dynamo.clearFaults()
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'TransactWriteItems' })
  await handler(event).catch(() => {})
  app.stack.dynamo.clearFaults()
  expect(['repeated', 'known']).toContain((await handler(event)).mail)
  expect(await notices(person)).toHaveLength(1)
})

test('a mark that races with the owner’s new address marks nothing', async () => {
  const person = await app.signUp()
  const event = app.stack.mail.report(person.email, 'bounce')
  const { noteMailEvent } = await import('../../core/notifications/mail-event.ts')
  const { table, ...ports } = await app.ports()
  let isFirst = true
  const slow: typeof table = {
    ...table,
    async transact(writes) {
      const email = `new-${person.email}`
      if (isFirst) await table.update(keys.profile(person.accountId), expr`SET #email = ${email}`)
      isFirst = false
      return table.transact(writes)
    },
  }
  expect(await noteMailEvent({ ...ports, table: slow }, event)).toBe('other address')
  expect(await read(person)).not.toHaveProperty('emailUndeliverable')
})

const DESTINATION = 'reader@mail.example'
const mail = {
  timestamp: '2026-11-21T12:00:00.000Z',
  destination: [DESTINATION],
  tags: { account: ['0'.repeat(24)] },
}
const detail = { eventType: 'Bounce', bounce: { bounceType: 'Permanent', bounceSubType: 'General' }, mail }

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['text', 'Email Bounced'],
  ['no id', { detail }],
  ['no detail', { id: 'e1' }],
  ['no mail', { id: 'e1', detail: { ...detail, mail: undefined } }],
  ['no tags', { id: 'e1', detail: { ...detail, mail: { ...mail, tags: {} } } }],
  [
    'a tag that is no account',
    { id: 'e1', detail: { ...detail, mail: { ...mail, tags: { account: ['#PROFILE'] } } } },
  ],
  [
    'two accounts',
    {
      id: 'e1',
      detail: { ...detail, mail: { ...mail, tags: { account: ['0'.repeat(24), '1'.repeat(24)] } } },
    },
  ],
  [
    'two recipients',
    { id: 'e1', detail: { ...detail, mail: { ...mail, destination: [DESTINATION, DESTINATION] } } },
  ],
  ['no time', { id: 'e1', detail: { ...detail, mail: { ...mail, timestamp: 'yesterday' } } }],
  ['a bounce that is text', { id: 'e1', detail: { ...detail, bounce: 'Permanent' } }],
])('an event of another form (%s) does nothing, calls nothing and is not retried', async (_, event) => {
  app.resetCalls()
  expect(await handler(event)).toEqual({ mail: 'malformed' })
  expect(app.calls().dynamodb).toEqual({})
})

test('members that SES adds to its events are no obstacle', async () => {
  const person = await app.signUp()
  expect(await report(person.email, 'bounce', { replay: 'x', resources: ['arn:aws:ses:x'] })).toBe('marked')
})
