import { beforeAll, describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { MINUTE_MS } from '../../core/time.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError, outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import type { Lie } from '../support/authenticator.ts'
import { sessionStatuses, withTwoFactor } from '../support/credentials.ts'
import { answerOf, authenticatorHere, newPasskey, signInWith, withPasskey } from '../support/passkeys.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
const refused = (answer: TestAnswer) => expectError(v1.passkeyLogin, answer, 'passkey_refused')

const owner = async () => withPasskey(app, await app.signUp())

const setStatus = async ({ accountId }: SignedInPerson, status: string) =>
  (await app.ports()).table.update(keys.profile(accountId), expr`SET #status = ${status}`)

const sessionsOf = async ({ accountId }: SignedInPerson) =>
  Object.keys(((await (await app.ports()).table.get(keys.profile(accountId)))?.sessions ?? {}) as object)

test('200: the tokens of a session like any other, recent at once', async () => {
  const person = await owner()
  const { status, body } = await signInWith(app, await answerOf(app, person))
  expect([status, body]).toEqual([
    200,
    { accessToken: expect.any(String), refreshToken: expect.any(String), expiresIn: 900 },
  ])
  expect(await sessionStatuses(app, body)).toEqual([200, 200])
  const created = await app.request('POST', '/v1/keys', { token: body.accessToken, json: { name: 'new' } })
  expect(created.status).toBe(201)
})

test('200: without a code where two-factor authentication is on', async () => {
  const person = await withPasskey(app, await withTwoFactor(app, await app.signUp()))
  expect((await signInWith(app, await answerOf(app, person))).status).toBe(200)
})

test('200: while the vault has locked the password after wrong tries', async () => {
  const person = await owner()
  for (let tries = 0; tries < 6; tries++) {
    await app.request('POST', '/v1/auth/login', { json: { email: person.email, password: 'Wrong123!' } })
  }
  expect((await signInWith(app, await answerOf(app, person))).status).toBe(200)
})

test('200: after a new address and a new name, because a passkey names neither', async () => {
  const person = await owner()
  const answer = await answerOf(app, person)
  const json = { username: `renamed-${person.username}` }
  await app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json })
  expect((await signInWith(app, answer)).status).toBe(200)
})

/** The same text with another last byte. */
function altered(text: string): string {
  const bytes = Buffer.from(text, 'base64url')
  bytes[bytes.length - 1]! ^= 1
  return bytes.toString('base64url')
}

describe('401: an answer that is not what was asked for opens nothing', () => {
  let person: Awaited<ReturnType<typeof owner>>
  beforeAll(async () => {
    person = await owner()
  })

  test.each<[string, Lie]>([
    ['from another page', { origin: 'https://evil.example' }],
    ['from a page whose name begins alike', { origin: 'https://app.bursar.example.evil.example' }],
    ['from a page on a subdomain', { origin: 'https://x.app.bursar.example' }],
    ['from the page without TLS', { origin: 'http://app.bursar.example' }],
    ['from the page on another port', { origin: 'https://app.bursar.example:444' }],
    ['for another relying party', { rpId: 'evil.example' }],
    ['given in a frame of another site', { crossOrigin: true }],
    ['given in a frame, with its top', { crossOrigin: true, topOrigin: 'https://evil.example' }],
    ['without a check of the user', { userVerified: false }],
    ['without a user', { userPresent: false, userVerified: false }],
    ['to a challenge that is not ours', { challenge: Buffer.alloc(73, 7).toString('base64url') }],
    ['to no challenge', { challenge: '' }],
    ['of a registration', { type: 'webauthn.create' }],
    ['of a passkey that is synced now, and was not', { synced: false }],
    ['of a passkey that is copied, but may not be', { synced: false, backedUp: true }],
    ['for no account', { userHandle: null }],
    ['for an account that does not exist', { userHandle: text('0'.repeat(24)) }],
    ['for what is no account', { userHandle: text('../ACCOUNT#x') }],
    ['with the id of no passkey', { id: 'AAAAAAAAAAAAAAAAAAAAAA' }],
  ])('%s', async (_, lie) => {
    const before = await sessionsOf(person)
    app.resetCalls()
    refused(await signInWith(app, await answerOf(app, person, lie)))
    expect(outsideCalls(app)).not.toHaveProperty('AdminInitiateAuth')
    expect(await sessionsOf(person)).toEqual(before)
  })

  test('signed by another key, in bytes that were altered, and in those of another answer', async () => {
    const [person, other] = [await owner(), await owner()]
    const [signer] = other.authenticator.passkeys
    refused(await signInWith(app, await answerOf(app, person, { signer: signer! })))
    const right = await answerOf(app, person)
    const { response } = right
    for (const change of [
      { signature: altered(response.signature) },
      { signature: 'AAAA' },
      { authenticatorData: altered(response.authenticatorData) },
      { authenticatorData: 'AAAA' },
      { clientDataJSON: (await answerOf(app, person)).response.clientDataJSON },
      { clientDataJSON: 'AAAA' },
    ]) {
      refused(await signInWith(app, { ...right, response: { ...response, ...change } }))
    }
    expect((await signInWith(app, right)).status).toBe(200)
  })

  test('of one account for another one', async () => {
    const [person, other] = [await owner(), await owner()]
    const [mine] = other.authenticator.passkeys
    refused(await signInWith(app, await answerOf(app, other, { userHandle: text(person.accountId) })))
    refused(await signInWith(app, await answerOf(app, person, { userHandle: mine!.userHandle })))
  })

  test('a second time, and two at once: one session begins, and the vault’s other tokens are revoked', async () => {
    const person = await owner()
    const answer = await answerOf(app, person)
    const before = (await sessionsOf(person)).length
    app.resetCalls()
    const answers = await Promise.all([1, 2, 3].map(() => signInWith(app, answer)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401])
    refused(await signInWith(app, answer))
    expect(await sessionsOf(person)).toHaveLength(before + 1)
    const { AdminRespondToAuthChallenge: begun = 0, RevokeToken: revoked = 0 } = app.calls().cognito
    expect(begun - revoked).toBe(1)
  })

  test('to a challenge that another passkey has answered', async () => {
    const [person, other] = [await owner(), await owner()]
    const { body } = await app.request('POST', '/v1/auth/passkeys/options/get')
    expect((await signInWith(app, person.authenticator.get(body))).status).toBe(200)
    refused(await signInWith(app, other.authenticator.get(body)))
  })

  test('after five minutes, and to the challenge of a registration', async () => {
    const person = await owner()
    const [early, late] = [await answerOf(app, person), await answerOf(app, person)]
    const { body } = await app.request('POST', '/v1/auth/passkeys/options/create', {
      token: person.accessToken,
    })
    refused(await signInWith(app, person.authenticator.get({ challenge: body.challenge, rpId: body.rp.id })))
    app.advance(5 * MINUTE_MS - 1)
    expect((await signInWith(app, early)).status).toBe(200)
    app.advance(1)
    refused(await signInWith(app, late))
  })

  test('with a passkey that was made, but not added', async () => {
    const person = await app.signUp()
    const authenticator = authenticatorHere()
    await newPasskey(app, person, authenticator)
    refused(await signInWith(app, await answerOf(app, { authenticator })))
  })
})

describe('401: a counter that does not grow', () => {
  test('is that of a copy, and the operator’s log says so', async () => {
    const person = await withPasskey(app, await app.signUp(), { synced: false })
    expect((await signInWith(app, await answerOf(app, person, { counter: 7 }))).status).toBe(200)
    app.logs.length = 0
    for (const counter of [7, 6, 0]) refused(await signInWith(app, await answerOf(app, person, { counter })))
    const warnings = app.logs.filter((line) => line.includes('its counter did not grow'))
    expect(warnings).toHaveLength(3)
    expect(JSON.parse(warnings[0]!)).toMatchObject({ level: 'warn', accountId: person.accountId })
    expect((await signInWith(app, await answerOf(app, person, { counter: 8 }))).status).toBe(200)
  })

  test('of two answers at once the one with the greater counter always signs in', async () => {
    const person = await withPasskey(app, await app.signUp(), { synced: false })
    const [low, high] = [
      await answerOf(app, person, { counter: 3 }),
      await answerOf(app, person, { counter: 4 }),
    ]
    const [, later] = await Promise.all([low, high].map((answer) => signInWith(app, answer)))
    expect(later?.status).toBe(200)
  })
})

describe('403: a right passkey learns the state of its account', () => {
  test.each(['deactivated', 'suspended'] as const)('%s', async (status) => {
    const person = await owner()
    await setStatus(person, status)
    const answer = await signInWith(app, await answerOf(app, person))
    expectError(v1.passkeyLogin, answer, `account_${status}`)
    refused(await signInWith(app, await answerOf(app, person, { userVerified: false })))
  })
})

describe('an account that its owner has deleted', () => {
  const UNDONE = 'Your account will not be deleted'

  async function deleted() {
    const person = await owner()
    const { status } = await app.request('DELETE', '/v1/user', { token: person.accessToken })
    expect(status).toBe(202)
    return person
  }

  /** How often the owner is told that the account stays, by notice and by mail. */
  async function toldOf({ accountId, email }: SignedInPerson): Promise<[notices: number, mails: number]> {
    await app.job('send-mail')
    const notices = await (await app.ports()).table.list(keys.account(accountId), 'NOTICE#')
    const mails = app.stack.mail.messages(email)
    return [
      notices.filter(({ messageType }) => messageType === 'deletion-undone').length,
      mails.filter(({ subject }) => subject === UNDONE).length,
    ]
  }

  const profileOf = async ({ accountId }: SignedInPerson) =>
    (await app.ports()).table.get(keys.profile(accountId))

  test('200: stays, its session works, and the owner is told once; the answer is used up', async () => {
    const person = await deleted()
    const answer = await answerOf(app, person)
    const { status, body } = await signInWith(app, answer)
    expect(status).toBe(200)
    expect(await sessionStatuses(app, body)).toEqual([200, 200])
    const profile = await profileOf(person)
    expect([profile?.status, profile?.eraseAtMs]).toEqual(['active', undefined])
    refused(await signInWith(app, answer))
    expect(await toldOf(person)).toEqual([1, 1])
  })

  test('200: of copies of one answer at once, one signs in, and the owner is told once', async () => {
    const person = await deleted()
    const answer = await answerOf(app, person)
    const copies = await Promise.all([1, 2, 3].map(() => signInWith(app, answer)))
    expect(copies.map(({ status }) => status).sort()).toEqual([200, 401, 401])
    expect(await sessionsOf(person)).toHaveLength(1)
    expect(await toldOf(person)).toEqual([1, 1])
  })

  test('401: a wrong answer undoes nothing', async () => {
    const person = await deleted()
    refused(await signInWith(app, await answerOf(app, person, { userVerified: false })))
    expect(await profileOf(person)).toHaveProperty('eraseAtMs')
    expect(await toldOf(person)).toEqual([0, 0])
  })

  test('401: once it is erased it is an unknown one, also while its names are still there', async () => {
    const person = await deleted()
    await setStatus(person, 'erased')
    refused(await signInWith(app, await answerOf(app, person)))
    const other = await deleted()
    app.advance(30 * 24 * 60 * MINUTE_MS)
    expect(await app.job('sweep')).toMatchObject({ erasuresFailed: 0 })
    refused(await signInWith(app, await answerOf(app, other)))
    expect(await sessionsOf(other)).toEqual([])
  })
})

test('503: while the vault does not answer, and the same answer signs in when it does', async () => {
  const person = await owner()
  const answer = await answerOf(app, person)
  app.stack.cognito.addFault({ fault: 'error-before', match: 'AdminRespondToAuthChallenge' })
  expect((await signInWith(app, answer)).status).toBe(503)
  app.stack.cognito.clearFaults()
  expect((await signInWith(app, answer)).status).toBe(200)
})

test('401: a sign-in that began before a change of password, or its end, does not finish after it', async () => {
  const person = await owner()
  const answer = await answerOf(app, person)
  const { table } = await app.ports()
  await table.update(keys.profile(person.accountId), expr`SET #changingUntilMs = ${Date.now() + MINUTE_MS}`)
  refused(await signInWith(app, answer))
})

function text(plain: string): string {
  return Buffer.from(plain).toString('base64url')
}
