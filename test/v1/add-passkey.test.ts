import { beforeAll, describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { MINUTE_MS } from '../../core/time.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import type { AuthenticatorOptions, Lie } from '../support/authenticator.ts'
import { sessionStatuses } from '../support/credentials.ts'
import {
  add,
  answerOf,
  askOptions,
  authenticatorHere,
  newPasskey,
  signInWith,
  withPasskey,
} from '../support/passkeys.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
const refused = (answer: TestAnswer) => expectError(v1.addPasskey, answer, 'invalid_passkey')

const stored = async ({ accountId }: SignedInPerson) =>
  (await (await app.ports()).table.get(keys.profile(accountId)))?.passkeys

test('201: the passkey is shown without its key, and signs in', async () => {
  const person = await app.signUp()
  const authenticator = authenticatorHere()
  const { status, body } = await add(app, person, await newPasskey(app, person, authenticator), 'My phone')
  expect([status, body]).toEqual([
    201,
    {
      id: expect.stringMatching(/^[\w-]{24}$/),
      name: 'My phone',
      credentialId: authenticator.passkeys[0]?.id,
      synced: true,
      createdAt: '2026-11-21T12:00:00.000Z',
      lastUsedAt: null,
    },
  ])
  expect((await signInWith(app, await answerOf(app, { authenticator }))).status).toBe(200)
})

test.each<[string, Partial<AuthenticatorOptions>]>([
  ['EdDSA', { alg: 'EdDSA' }],
  ['RS256', { alg: 'RS256' }],
  ['a counter of its own', { synced: false }],
  ['an id of 255 bytes', { idBytes: 255 }],
])('201: a passkey with %s', async (_, options) => {
  const person = await withPasskey(app, await app.signUp(), options)
  expect((await signInWith(app, await answerOf(app, person))).status).toBe(200)
  expect((await signInWith(app, await answerOf(app, person))).status).toBe(200)
})

test('201: a passkey that its authenticator has signed unasked, as browsers let through', async () => {
  const person = await app.signUp()
  const authenticator = authenticatorHere()
  const passkey = await newPasskey(app, person, authenticator, { selfAttested: true })
  expect((await add(app, person, passkey)).status).toBe(201)
  expect((await signInWith(app, await answerOf(app, { authenticator }))).status).toBe(200)
})

test('201: every other session ends, the owner is told, and the caller’s session lives', async () => {
  const person = await app.signUp()
  const other = await app.login(person)
  await withPasskey(app, person)
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
  expect(await sessionStatuses(app, other)).toEqual([401, 401])
  await app.job('send-mail')
  expect(app.stack.mail.messages(person.email).at(-1)?.subject).toBe('A passkey was added to your account')
  const { body } = await app.request('GET', '/api/users/current/notifications', { token: person.accessToken })
  expect(JSON.stringify(body)).toContain('passkey-added')
})

test('201: a repeat gets the same passkey, two at once too, and nobody is told twice', async () => {
  const person = await app.signUp()
  const passkey = await newPasskey(app, person)
  const [one, another] = await Promise.all([add(app, person, passkey), add(app, person, passkey)])
  expect([one?.status, another?.status, another?.body]).toEqual([201, 201, one?.body])
  expect((await add(app, person, passkey)).body).toEqual(one?.body)
  await app.job('send-mail')
  const mails = app.stack.mail.messages(person.email).filter(({ subject }) => subject.includes('passkey'))
  expect(mails).toHaveLength(1)
})

describe('400: an answer that is not what was asked for adds nothing', () => {
  let shared: SignedInPerson
  beforeAll(async () => {
    shared = await app.signUp()
  })

  test.each<[string, Lie]>([
    ['from another page', { origin: 'https://evil.example' }],
    ['from a page on a subdomain', { origin: 'https://x.app.bursar.example' }],
    ['from the page without TLS', { origin: 'http://app.bursar.example' }],
    ['from the page on another port', { origin: 'https://app.bursar.example:8443' }],
    ['for another relying party', { rpId: 'evil.example' }],
    ['for the parent domain', { rpId: 'bursar.example' }],
    ['given in a frame of another site', { crossOrigin: true }],
    ['given in a frame, with its top', { crossOrigin: true, topOrigin: 'https://evil.example' }],
    ['without a check of the user', { userVerified: false }],
    ['without a user', { userPresent: false }],
    ['to a challenge that is not ours', { challenge: Buffer.alloc(57, 7).toString('base64url') }],
    ['to no challenge', { challenge: '' }],
    ['of a sign-in', { type: 'webauthn.get' }],
    ['whose id is not the credential’s', { id: 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ['with an unknown kind of attestation', { attestation: { fmt: 'other', attStmt: new Map() } }],
    [
      'attested by a certificate, whose revocation list would have to be loaded',
      {
        attestation: {
          fmt: 'packed',
          attStmt: new Map<string, unknown>([
            ['alg', -7],
            ['sig', Buffer.alloc(70)],
            ['x5c', [Buffer.alloc(100)]],
          ]) as never,
        },
      },
    ],
    ['attested by an Android device', { attestation: { fmt: 'android-key', attStmt: new Map() } }],
  ])('%s', async (_, lie) => {
    refused(await add(app, shared, await newPasskey(app, shared, authenticatorHere(), lie)))
    expect(await stored(shared)).toBeUndefined()
  })

  test('with a key of an algorithm that was not offered', async () => {
    const person = await app.signUp()
    refused(await add(app, person, await newPasskey(app, person, authenticatorHere({ alg: 'ES384' }))))
  })

  test('whose bytes are cut, altered or none', async () => {
    const person = await app.signUp()
    const passkey = await newPasskey(app, person)
    const { response } = passkey
    const { attestationObject, clientDataJSON } = response
    for (const change of [
      { attestationObject: attestationObject.slice(0, 40) },
      { attestationObject: 'AAAA' },
      { clientDataJSON: 'AAAA' },
      { clientDataJSON: Buffer.from('null').toString('base64url') },
      { clientDataJSON: Buffer.from('{"challenge":7}').toString('base64url') },
      { clientDataJSON: clientDataJSON.slice(0, 80) },
    ]) {
      refused(await add(app, person, { ...passkey, response: { ...response, ...change } }))
    }
    expect(await stored(person)).toBeUndefined()
    expect((await add(app, person, passkey)).status).toBe(201)
  })

  test('after five minutes', async () => {
    const person = await app.signUp()
    const [early, late] = [await newPasskey(app, person), await newPasskey(app, person)]
    app.advance(5 * MINUTE_MS - 1)
    expect((await add(app, person, early)).status).toBe(201)
    app.advance(1)
    refused(await add(app, person, late))
  })

  test('to the options of another account, or to the challenge for a sign-in', async () => {
    const [person, other] = [await app.signUp(), await app.signUp()]
    refused(await add(app, person, await newPasskey(app, other)))
    const { body: options } = await askOptions(app, person)
    const { body: asked } = await app.request('POST', '/v1/auth/passkeys/options/get')
    refused(await add(app, person, authenticatorHere().create({ ...options, challenge: asked.challenge })))
  })

  test('to options that were answered before: a removed passkey does not come back', async () => {
    const person = await app.signUp()
    const passkey = await newPasskey(app, person)
    const { body } = await add(app, person, passkey)
    const token = person.accessToken
    await app.request('DELETE', `/v1/auth/passkeys/${body.id}`, { token })
    refused(await add(app, person, passkey))
    expect(await stored(person)).toEqual({})
  })

  test('to options that another passkey has answered', async () => {
    const person = await app.signUp()
    const { body: options } = await askOptions(app, person)
    const authenticator = authenticatorHere()
    expect((await add(app, person, authenticator.create(options))).status).toBe(201)
    refused(await add(app, person, authenticator.create(options)))
  })
})

test('401: a session that has ended meanwhile adds nothing', async () => {
  const person = await app.signUp()
  const passkey = await newPasskey(app, person)
  await app.request('POST', '/v1/auth/logout', { token: person.accessToken, json: { everywhere: true } })
  expect((await add(app, person, passkey)).status).toBe(401)
  expect(await stored(person)).toBeUndefined()
})

test.each([
  ['no name', undefined, 'name'],
  ['a name of spaces', '  ', 'name'],
  ['a name that is too long', 'x'.repeat(101), 'name'],
])('400: %s', async (_, name, field) => {
  const person = await app.signUp()
  const json = { name, passkey: await newPasskey(app, person) }
  const answer = await app.request('POST', '/v1/auth/passkeys', { token: person.accessToken, json })
  expectError(v1.addPasskey, answer, 'invalid_request')
  expect(answer.body.errors[0].field).toBe(field)
})
