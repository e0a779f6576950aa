import { describe, expect, test } from 'vitest'
import type { SecurityEvent } from '../../core/notifications/security-texts.ts'
import { securityEvents, securityTexts } from '../../core/notifications/security-texts.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { type App, startApp } from '../support/app.ts'
import { appCode, resetCode, withTwoFactor } from '../support/credentials.ts'
import { answerOf, signInWith, withPasskey } from '../support/passkeys.ts'
import { newPerson, type Person, type SignedInPerson } from '../support/people.ts'
import { rowKey, type Sample, sampleOf } from '../support/samples.ts'
import { sendSample } from './repeats.ts'

/**
 * What the owner is told once a row has succeeded: the events of the notices, and with `mails` the addresses of
 * the mail about each. A text says why nothing is told.
 */
const TOLD: Record<string, { events: SecurityEvent[]; mails?: (person: Person) => string[] } | string> = {
  'api.deactivate': { events: ['deactivated'] },
  'api.restore': { events: ['restored'] },
  'api.updateCurrentUser': { events: ['password-changed'] },
  // The mail about it and the code for the new address leave at once.
  'rest.createApp': { events: ['key-created'] },
  'rest.deleteApp': 'ends access and gives none',
  'rest.updateApp': 'changes a name and a domain for others, which change nothing about its use',
  'rest.updateUser': { events: ['address-is-changing'], mails: () => [] },
  'v1.activate': 'the registered address is confirmed with the code that was mailed to it',
  'v1.addPasskey': { events: ['passkey-added'] },
  'v1.beginRecovery': 'is announced at once and every day, in begin-recovery.test.ts',
  'v1.changeKey': { events: ['key-changed'] },
  'v1.changePassword': { events: ['password-changed'] },
  'v1.confirmSession': 'lets nobody in who is not in; a recovery code is told of below',
  'v1.createKey': { events: ['key-created'] },
  'v1.deleteKey': 'ends access and gives none',
  'v1.deleteUser': { events: ['deletion-begun'] },
  'v1.enrolTwoFactor': 'the seed counts for nothing before its first code',
  'v1.exportUser': { events: ['data-exported'] },
  'v1.finishRecovery': 'the notice and the mail are in finish-recovery.test.ts',
  'v1.login': 'a new device is told of in devices.deep.test.ts, a recovery code and an undone deletion below',
  'v1.passkeyLogin': 'as `v1.login`',
  'v1.passkeyOptions': 'a challenge counts for nothing before it is answered',
  'v1.removePasskey': { events: ['passkey-removed'] },
  'v1.removeTwoFactor': { events: ['two-factor-off', 'recovery-code-used'] },
  // The first reset of an account that has paid nothing replaces its keys.
  'v1.resetPassword': { events: ['keys-replaced', 'password-reset'] },
  'v1.rotateKey': { events: ['key-created'] },
  'v1.stopRecovery': { events: ['recovery-stopped'] },
  'v1.stopRecoveryByLink': { events: ['recovery-stopped'] },
  'v1.verifyTwoFactor': { events: ['two-factor-on'] },
}

/** Public rows with which nobody gets in, or changes who does. */
const LETS_NOBODY_IN: Record<string, string> = {
  'http.health': 'knows no account',
  'v1.getConfig': 'knows no account',
  'http.openapiDocument': 'knows no account',
  'rest.createUser': 'makes the account',
  'v1.keyLogin': 'the token only reads, and the owner was told of its key',
  'v1.register': 'makes the account',
  'v1.logout': 'ends access and gives none',
  'v1.passkeyChallenge': 'a challenge counts for nothing before it is answered',
  'v1.refresh': 'goes on with a session that has begun',
  'v1.requestPasswordReset': 'the mail tells of itself',
  'v1.requestRecovery': 'the mail tells of itself',
  'v1.resend': 'the mail tells of itself',
  'v1.useRenewalLink': 'concerns renewals',
  'webhooks.stripe': 'is signed by Stripe',
}

const app = await startApp()
const isOpen = (row: Placed) => row.auth === 'public' && !Object.hasOwn(LETS_NOBODY_IN, rowKey(row))
const changing = rows.filter((row) => row.auth !== 'operator' && (row.proof || isOpen(row)))
const isSecurity = (type: string): type is SecurityEvent =>
  (securityEvents as readonly string[]).includes(type)
const subjects = new Map(securityEvents.map((event) => [securityTexts[event].subject, event]))

test('the subject of a mail says which change it is about: no two changes share one', () => {
  expect(subjects.size).toBe(securityEvents.length)
})

test('every row that changes who gets in is listed, with what its owner is told', () => {
  expect(changing.map(rowKey).sort()).toEqual(Object.keys(TOLD).sort())
})

/** The notices about security of an account, and the mails about it by event and address. */
async function toldTo(accountId: string): Promise<{ notices: string[]; mails: string[] }> {
  await app.job('send-mail')
  const { table } = await app.ports()
  const items = await table.list(keys.account(accountId), 'NOTICE#')
  const told = app.stack.mail.messages().flatMap(({ to, subject }) => {
    const event = subjects.get(subject)
    return event === undefined || event === 'address-is-changing' ? [] : [`${event} ${to}`]
  })
  const notices = items.map(({ messageType }) => String(messageType)).filter(isSecurity)
  return { notices: notices.sort(), mails: told.sort() }
}

const none = { notices: [], mails: [] }

/** Forgets what making a sample has told. */
async function forgetTold(accountId: string): Promise<void> {
  await app.job('send-mail')
  const { table } = await app.ports()
  for (const { pk, sk } of await table.list(keys.account(accountId), 'NOTICE#'))
    await table.remove({ pk: String(pk), sk: String(sk) })
  app.stack.mail.clear()
}

/** A person for whom the row's sample works, and the sample. */
async function prepared(row: Placed): Promise<{ person: SignedInPerson; sample: Sample }> {
  app.stack.mail.clear()
  const person = await app.signUp()
  const sample = await sampleOf(app, row, person)
  // The sample of a restoration is another person.
  const email = row.name === 'restore' ? String(sample.body?.email) : person.email
  const guard = await (await app.ports()).table.get(keys.emailGuard(email))
  const subject = { ...person, email, accountId: String(guard?.accountId) }
  await forgetTold(subject.accountId)
  return { person: subject, sample }
}

describe.each(
  changing.flatMap((row) => {
    const told = TOLD[rowKey(row)]
    return told === undefined || typeof told === 'string' ? [] : [[rowKey(row), row, told] as const]
  }),
)('%s', (_, row, { events, mails = (person) => [person.email] }) => {
  const wanted = (person: Person) => ({
    notices: [...events].sort(),
    mails: events.flatMap((event) => mails(person).map((to) => `${event} ${to}`)).sort(),
  })
  const send = (person: SignedInPerson, sample: Sample) =>
    sendSample(app, row, sample, row.auth === 'account' ? person.accessToken : undefined, 'told-once')

  test('tells the owner once by notice and mail, and a repeat tells nothing more', async () => {
    const { person, sample } = await prepared(row)
    const first = await send(person, sample)
    expect(first.status).toBeLessThan(300)
    expect(await toldTo(person.accountId)).toEqual(wanted(person))
    expect((await send(person, sample)).status).toBe(first.status)
    expect(await toldTo(person.accountId)).toEqual(wanted(person))
  })

  test('tells the owner once if two copies arrive at the same time', async () => {
    const { person, sample } = await prepared(row)
    const both = await Promise.all([send(person, sample), send(person, sample)])
    expect(both.some(({ status }) => status < 300)).toBe(true)
    expect(await toldTo(person.accountId)).toEqual(wanted(person))
  })

  test('tells nothing if the change is refused', async () => {
    const { person, sample } = await prepared(row)
    await (await app.ports()).table.remove(keys.profile(person.accountId))
    expect((await send(person, sample)).status).toBeGreaterThanOrEqual(400)
    expect(await toldTo(person.accountId)).toEqual(none)
  })
})

test('a confirmed change of the address is told once to the old and to the new address', async () => {
  const person = await app.signUp()
  const email = `new-${person.email}`
  const json = { email }
  await app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json })
  const code = app.mailedCode(email)
  await forgetTold(person.accountId)
  for (const _ of ['first', 'repeat']) {
    expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(200)
    expect(await toldTo(person.accountId)).toEqual({
      notices: ['address-changed'],
      mails: [`address-changed ${email}`, `address-changed ${person.email}`].sort(),
    })
  }
})

test('a password change that replaces the keys tells of both', async () => {
  const person = await app.signUp()
  await forgetTold(person.accountId)
  const json = { password: 'Changed1!', oldPassword: person.password, keys: 'rotate' }
  for (const _ of ['first', 'repeat']) {
    const { status } = await app.request('PUT', '/v1/user/password', { token: person.accessToken, json })
    expect(status).toBe(204)
    expect((await toldTo(person.accountId)).notices).toEqual(['keys-replaced', 'password-changed'])
  }
})

test.each(['change', 'reset'])(
  'a password that the vault refuses at its %s is told to nobody',
  async (way) => {
    const person = await app.signUp()
    // The keys of an account that has paid stay, so that nothing else is told.
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #paid = ${true}`)
    const code = await resetCode(app, person.email)
    await forgetTold(person.accountId)
    const password = 'Refused123!'
    app.stack.cognito.refusePassword(password)
    const { body } =
      way === 'change'
        ? await app.request('PUT', '/v1/user/password', { token: person.accessToken, json: { password } })
        : await app.request('PUT', '/v1/user/resetPassword', { json: { code, password } })
    expect(body.type).toBe('urn:bursar:problem:password_refused')
    expect(await toldTo(person.accountId)).toEqual(none)
  },
)

test('an address that nobody has proved gets no mail about a change; the account gets its notice', async () => {
  const person = newPerson()
  await app.register(person)
  const code = await resetCode(app, person.email)
  const guard = await (await app.ports()).table.get(keys.emailGuard(person.email))
  await forgetTold(String(guard?.accountId))
  await app.request('PUT', '/v1/user/resetPassword', { json: { code, password: 'Changed1!' } })
  const { notices, mails } = await toldTo(String(guard?.accountId))
  expect([notices, mails]).toEqual([['keys-replaced', 'password-reset'], []])
})

/** Each way to use up a recovery code, with the other events that it tells of. */
const RECOVERY: [string, SecurityEvent[], (app: App, at: Enrolled, twofa: string) => Promise<number>][] = [
  [
    'a sign-in',
    [],
    async (_, { email, password }, twofa) => post('/v1/auth/login', { email, password, twofa }),
  ],
  [
    'a proof of the session',
    [],
    async (_, { accessToken }, twofa) => post('/v1/auth/confirm', { twofa }, accessToken),
  ],
  [
    'a proof in a header',
    ['key-created'],
    async (_, { accessToken: token }, code) =>
      (
        await app.request('POST', '/v1/keys', {
          token,
          headers: { 'x-proof-code': code, 'idempotency-key': 'one' },
          json: { name: 'one' },
        })
      ).status,
  ],
  [
    'a password change',
    ['password-changed'],
    async (_, { accessToken: token, password: oldPassword }, twofa) =>
      (
        await app.request('PUT', '/v1/user/password', {
          token,
          json: { password: 'Changed1!', oldPassword, twofa },
        })
      ).status,
  ],
  [
    'a password reset',
    ['password-reset'],
    async (_, { code }, twofa) =>
      (await app.request('PUT', '/v1/user/resetPassword', { json: { code, password: 'Changed1!', twofa } }))
        .status,
  ],
]

type Enrolled = SignedInPerson & { recoveryCodes: string[]; code: string; seed: string }

async function post(path: string, json: object, token?: string): Promise<number> {
  return (await app.request('POST', path, { json, token })).status
}

async function enrolled(): Promise<Enrolled> {
  const person = await withTwoFactor(app, await app.signUp())
  const code = await resetCode(app, person.email)
  await forgetTold(person.accountId)
  return { ...person, code }
}

test.each(RECOVERY)('%s with a recovery code tells that it is used up, once', async (_, others, use) => {
  const person = await enrolled()
  const [twofa = ''] = person.recoveryCodes
  expect(await use(app, person, twofa)).toBeLessThan(300)
  await use(app, person, twofa)
  const events = [...others, 'recovery-code-used'].sort()
  const mails = events.map((event) => `${event} ${person.email}`)
  expect(await toldTo(person.accountId)).toEqual({ notices: events, mails })
})

test('a restoration with a recovery code tells that it is used up; a code of the app is not told of', async () => {
  for (const isRecovery of [true, false]) {
    const person = await enrolled()
    const { email, password, accessToken: token } = person
    await app.request('PUT', '/api/users/current/deactivate', { token })
    await forgetTold(person.accountId)
    const twofa = isRecovery ? person.recoveryCodes[0] : appCode(person.seed)
    expect(await post('/api/users/restore', { email, password, twofa })).toBe(200)
    const events = isRecovery ? ['recovery-code-used', 'restored'] : ['restored']
    expect((await toldTo(person.accountId)).notices).toEqual(events)
  }
})

test.each(['password', 'passkey'])(
  'a sign-in by %s that undoes a deletion tells the owner once',
  async (way) => {
    const person = await withPasskey(app, await app.signUp())
    await app.request('DELETE', '/v1/user', { token: person.accessToken })
    await forgetTold(person.accountId)
    const { email, password } = person
    for (const _ of ['first', 'again']) {
      const status =
        way === 'password'
          ? await post('/v1/auth/login', { email, password })
          : (await signInWith(app, await answerOf(app, person))).status
      expect(status).toBe(200)
      const mails = [`deletion-undone ${email}`]
      expect(await toldTo(person.accountId)).toEqual({ notices: ['deletion-undone'], mails })
    }
  },
)

test('a mail about a change says when it happened, in UTC, and leads to the account', async () => {
  const person = await app.signUp()
  await app.request('POST', '/v1/keys', { token: person.accessToken, json: { name: 'one' } })
  app.advance(59_999)
  await app.job('send-mail')
  const [mail] = app.stack.mail.messages(person.email).slice(-1)
  expect(mail?.text).toContain('Time: 2026-11-21 12:00 UTC.')
  expect(mail?.text).toContain((await app.ports()).mail.appUrl)
})
