import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, ScanCommand } from '@aws-sdk/lib-dynamodb'
import { describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'
import { sendRaw } from '../support/send.ts'
import { outsideCalls } from './contract.ts'

const app = await startApp()
const client = new DynamoDBClient({ endpoint: app.stack.dynamo.rawUrl })
const database = DynamoDBDocumentClient.from(client)

async function items(): Promise<Record<string, unknown>[]> {
  const { Items = [] } = await database.send(new ScanCommand({ TableName: app.stack.tableName }))
  return Items
}

async function expectRefused(person: Partial<Person>, field: keyof Person): Promise<void> {
  app.resetCalls()
  const { status, body } = await app.register(newPerson(person))
  expect([status, body]).toEqual([
    400,
    { status: 0, message: expect.stringMatching(new RegExp(`^${field} `)) },
  ])
  expect(outsideCalls(app)).toEqual({})
}

async function expectTaken(person: Partial<Person>, message: string): Promise<void> {
  const { status, body } = await app.register(newPerson({ password: 'Another123!', ...person }))
  expect([status, body]).toEqual([409, { status: 0, message }])
}

const USERNAME_TAKEN = 'Another account has this username.'
const EMAIL_TAKEN = 'Another account has this address.'

async function expectRegistered(person: Partial<Person>): Promise<Person> {
  const whole = newPerson(person)
  const { status, body } = await app.register(whole)
  expect([status, body.content]).toMatchObject([201, { username: whole.username, email: whole.email }])
  return whole
}

/** Imports an account, which alone may have other letters than ASCII before the @. @returns what became of it */
async function importedAs(email: string): Promise<string> {
  const { username } = newPerson()
  const json = { reason: 'CRM-7: moves in', users: [{ email, username }] }
  const { body } = await app.request('POST', '/ops/admin/import', { operator: 'admin', json })
  const [{ status, reason = status }] = body.results
  return reason
}

const nonAscii = (text: string) =>
  text.replace(/[^ -~]/gu, (character) => `U+${character.codePointAt(0)?.toString(16)}`)
const named = (values: string[]) => values.map((value) => [nonAscii(value), value] as const)

describe('a name that looks like a key of the table', () => {
  test.each([
    'a#b',
    '#PROFILE',
    'ACCOUNT#1',
    'ACCOUNT#000000000000000000000000',
    'USERNAME#person1',
    'bob#GUARD',
    'LEDGER#000000000001',
    'a\u0000#PROFILE',
  ])('the username %j is refused and nothing is read', async (username) => {
    await expectRefused({ username }, 'username')
  })

  test.each([
    'ACCOUNT#1@mail.example',
    '#GUARD@mail.example',
    'EMAIL#a@mail.example',
    'a#PROFILE@mail.example',
  ])('the address %j is valid, and its text is in one key only, after EMAIL#', async (email) => {
    const before = new Set((await items()).map(({ pk, sk }) => `${pk} ${sk}`))
    const { username } = await expectRegistered({ email })
    const added = (await items()).map(({ pk, sk }) => `${pk} ${sk}`).filter((key) => !before.has(key))
    const guard = `EMAIL#${email.toLowerCase()} #GUARD`
    expect(added.filter((key) => key.toLowerCase().includes('mail.example'))).toEqual([guard])
    const kinds =
      /^(ACCOUNT#[0-9a-f]{24}|APIKEY#[\w-]{16}|CODE#[0-9a-f]{16}|LIMIT#[\w-]{22}|USERNAME#person\d+) [#\w-]+$/
    expect(added.filter((key) => key !== guard && !kinds.test(key))).toEqual([])
    expect(new Set(added.map((key) => /^ACCOUNT#\w+/.exec(key)?.[0]).filter(Boolean)).size).toBe(1)
    await app.confirm({ email })
    const { accessToken } = await app.login({ username, email, password: newPerson().password })
    expect((await app.request('GET', '/v1/user', { token: accessToken })).body.email).toBe(email)
  })

  test.each([
    'ACCOUNT#1',
    '#PROFILE',
    'person1#GUARD',
    'x\u0000',
    'x\r\ny',
    '../person1',
    'person1/..',
    '*',
    '%',
    '{username}',
  ])('in a path, %j is an unknown name', async (name) => {
    const { accessToken: token } = await app.signUp()
    const { status, body } = await app.request('GET', `/rest/users/${encodeURIComponent(name)}`, { token })
    // The gateway treats an encoded slash as a slash, so no route matches.
    const expected = name.includes('/')
      ? { message: 'Not Found' }
      : { status: 0, message: expect.any(String) }
    expect([status, body]).toEqual([404, expected])
  })
})

describe('one address in two Unicode forms', () => {
  const NFC = 'ren\u00e9e.\u1e69@caf\u00e9.example'
  const NFD = NFC.normalize('NFD')

  test('is one address, whichever form comes first', async () => {
    expect(NFD).not.toBe(NFC)
    const person = await app.signUp({ email: NFC })
    expect(await importedAs(NFD)).toBe('email_taken')
    expect(await importedAs(NFD.toUpperCase())).toBe('email_taken')
    expect((await app.login({ ...person, email: NFD })).username).toBe(person.username)
    expect((await app.login({ ...person, email: NFC.toUpperCase() })).username).toBe(person.username)

    await app.signUp({ email: `x${NFD}` })
    expect(await importedAs(`x${NFC}`)).toBe('email_taken')
  })

  test('is shown as the user entered it', async () => {
    const { username, email, password } = await app.signUp({ email: `Y${NFD}` })
    const { accessToken: token } = await app.login({ username, email, password })
    expect((await app.request('GET', '/v1/user', { token })).body.email).toBe(`Y${NFD}`)
  })

  test('is the same address with its combining marks in another order', async () => {
    await app.signUp({ email: 'a\u0323\u0307@mail.example' })
    expect(await importedAs('a\u0307\u0323@mail.example')).toBe('email_taken')
  })
})

describe('one address with its domain in two forms', () => {
  test.each([
    ['b\u00fccher.example', 'xn--bcher-kva.example'],
    ['xn--fiqs8s.example', '\u4e2d\u56fd.EXAMPLE'],
    ['stra\u00dfe.example', 'XN--STRAE-OQA.example'],
    ['b\u00fccher\u3002test', 'bu\u0308cher.test'],
    ['\u0628\u06cc\u062a\u200c\u0647\u0627.example', 'xn--mgbbg0jt2a752j.example'],
  ])('%s and %s are one address, which is shown as it was typed', async (typed, sent) => {
    const person = await app.signUp({ email: `ada@${typed}` })
    await expectTaken({ email: `Ada@${sent}` }, EMAIL_TAKEN)
    const { accessToken: token } = await app.login({ ...person, email: `ADA@${sent}` })
    expect((await app.request('GET', '/v1/user', { token })).body.email).toBe(`ada@${typed}`)
  })

  test('a repeated registration in the other form resumes, and mail goes to the form that DNS has', async () => {
    const person = await expectRegistered({ email: 'eve@b\u00fccher.example' })
    const { status } = await app.register({ ...person, email: 'eve@xn--bcher-kva.example' })
    expect(status).toBe(201)
    const mails = app.stack.mail.messages(person.email)
    expect(mails.map(({ to }) => to)).toEqual(['eve@xn--bcher-kva.example'])
  })

  test('\u00df and ss, and the two forms of a small sigma, are letters of their own', async () => {
    await expectRegistered({ email: 'a@fa\u00df.example' })
    await expectRegistered({ email: 'a@fass.example' })
    await expectRegistered({ email: 'a@\u03b2\u03cc\u03bb\u03bf\u03c2.example' })
    await expectRegistered({ email: 'a@\u03b2\u03cc\u03bb\u03bf\u03c3.example' })
    await expectTaken({ email: 'a@\u0392\u038c\u039b\u039f\u03a3.example' }, EMAIL_TAKEN)
  })

  test.each(['xn--b\u00fccher.example', '\u05d0a.example', '\u0301a.example', 'a\u200db.example'])(
    'the domain %j, which has no form in DNS, is refused',
    async (domain) => {
      await expectRefused({ email: `ada@${domain}` }, 'email')
    },
  )
})

describe('one password in two Unicode forms', () => {
  const COMPOSED = 'P\u00e4ssw\u00f6rd1!'
  const DECOMPOSED = COMPOSED.normalize('NFD')
  const proven = (token: string, password: string) =>
    app.request('POST', '/v1/keys', {
      token,
      // Node sends the headers along with a text, and then in its encoding.
      body: new TextEncoder().encode('{"name":"proven"}'),
      headers: {
        'content-type': 'application/json',
        'x-proof-password': Buffer.from(password).toString('latin1'),
      },
    })

  test.each([
    ['composed', COMPOSED, DECOMPOSED],
    ['decomposed', DECOMPOSED, COMPOSED],
  ])('a password set %s signs in, changes, resets and proves in either form', async (_, set, typed) => {
    const person = await app.signUpOverHttp({ password: set })
    for (const password of [set, typed])
      expect((await app.login({ ...person, password })).username).toBe(person.username)
    app.advance(11 * 60_000)
    for (const password of [set, typed]) expect((await proven(person.accessToken, password)).status).toBe(201)
    const json = { oldPassword: typed, password: `${set}2` }
    const { status } = await app.request('PUT', '/v1/user/password', { token: person.accessToken, json })
    expect(status).toBe(204)
    expect((await app.login({ ...person, password: `${typed}2` })).username).toBe(person.username)
  })

  test('a registration and a reset repeated in the other form are the same request', async () => {
    const person = newPerson({ password: DECOMPOSED })
    expect((await app.register(person)).status).toBe(201)
    expect((await app.register({ ...person, password: COMPOSED })).status).toBe(201)
    await app.confirm(person)
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    const reset = (password: string) =>
      app.request('PUT', '/v1/user/resetPassword', {
        json: { code: app.mailedCode(person.email), password },
      })
    expect((await reset(`${COMPOSED}3`)).status).toBe(204)
    expect((await reset(`${DECOMPOSED}3`)).status).toBe(204)
    expect((await app.login({ ...person, password: `${DECOMPOSED}3` })).username).toBe(person.username)
  })

  test('the length is that of the composed form, and compatibility forms are other passwords', async () => {
    await expectRegistered({ password: `!${'e\u0301'.repeat(127)}` })
    await expectRefused({ password: `!${'e\u0301'.repeat(128)}` }, 'password')
    const person = await expectRegistered({ password: 'wi\ufb01 code 1!' })
    const json = { email: person.email, password: 'wifi code 1!' }
    expect((await app.request('POST', '/v1/auth/login', { json })).status).toBe(401)
  })
})

describe('letters that look alike', () => {
  test.each(
    named([
      '\u0430dmin',
      'admi\u0578',
      '\uff41dmin',
      'adm\u0131n',
      'adm\u0130n',
      'pa\u017fword',
      '\u212aelvin',
      'ren\u00e9e',
      'a\u0300bc',
      '\ud835\udc1abc',
      '用户名',
    ]),
  )('the username %s is refused, because usernames are ASCII', async (_, username) => {
    await expectRefused({ username }, 'username')
  })

  test('addresses that only look alike are two addresses, and each opens its own account', async () => {
    const latin = await app.signUp({ email: 'paypal@mail.example' })
    const cyrillic = await app.signUp({ email: 'p\u0430ypal@mail.example', password: 'Other123!' })
    const { accessToken } = await app.login(latin)
    expect((await app.request('GET', '/v1/user', { token: accessToken })).body.email).toBe(latin.email)
    const crossed = await app.request('POST', '/v1/auth/login', {
      json: { email: latin.email, password: cyrillic.password },
    })
    expect(crossed.status).toBe(401)
  })

  test('the Turkish İ and ı are different letters from i; other letters match in any case', async () => {
    await expectRegistered({ email: 'inci@mail.example' })
    await expectTaken({ email: 'INCI@mail.example' }, EMAIL_TAKEN)
    expect(await importedAs('\u0130nci@mail.example')).toBe('imported')
    expect(await importedAs('\u0131nci@mail.example')).toBe('imported')
    const dotted = await app.signUp({ email: '\u0130lke@mail.example' })
    expect(await importedAs('\u0130LKE@mail.example')).toBe('email_taken')
    expect(await importedAs('i\u0307lke@mail.example')).toBe('email_taken')
    expect((await app.login({ ...dotted, email: 'i\u0307LKE@mail.example' })).username).toBe(dotted.username)
  })

  test('mail for an address goes to that address and to no look-alike', async () => {
    await app.register(newPerson({ email: 'victim@mail.example' }))
    const before = app.stack.mail.messages('victim@mail.example').length
    for (const email of ['v\u0131ctim@mail.example', 'v\u0456ctim@mail.example']) {
      await expectRefused({ email }, 'email')
      await app.signUp({ email })
      await app.request('POST', '/v1/user/resetPassword', { json: { email } })
    }
    await app.job('send-mail')
    await app.register(newPerson({ email: 'victim@mail.example' }))
    expect(app.stack.mail.messages('victim@mail.example')).toHaveLength(before)
  })

  test('a taken username is taken in any case', async () => {
    await expectRegistered({ username: 'Case.Test-1' })
    await expectTaken({ username: 'cASE.tEST-1' }, USERNAME_TAKEN)
  })
})

const INVISIBLE = [
  '\u0000',
  '\u0007',
  '\n',
  '\r',
  '\t',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u00ad',
  '\u034f',
  '\u061c',
  '\u115f',
  '\u180e',
  '\u200b',
  '\u200d',
  '\u200e',
  '\u202e',
  '\u2028',
  '\u2060',
  '\u2066',
  '\u3164',
  '\ufe0f',
  '\ufeff',
  '\uffa0',
  '\ufff9',
  '\u{e0041}',
]

describe('zero-width, control and direction characters', () => {
  test.each(named(INVISIBLE))('%s is refused in a username and in an address', async (_, character) => {
    for (const place of [`${character}person`, `per${character}son`, `person${character}`]) {
      await expectRefused({ username: place }, 'username')
      await expectRefused({ email: `${place}@mail.example` }, 'email')
      await expectRefused({ email: `person@${place}.example` }, 'email')
    }
    await expectRefused({ email: `person@mail.example${character}` }, 'email')
  })

  test.each(named(['\u0000', '\n', '\r', '\u001b', '\u007f', '\u0085']))(
    '%s is refused in a password',
    async (_, character) => {
      await expectRefused({ password: `Hello${character}123!` }, 'password')
      await expectRefused({ password: `Hello123!${character}` }, 'password')
    },
  )
})

test('names over the limit are refused; names of the maximum length register and sign in', async () => {
  for (const length of [33, 100, 10_000]) await expectRefused({ username: 'u'.repeat(length) }, 'username')
  await expectRefused({ username: 'ab' }, 'username')
  await expectRefused({ email: `${'a'.repeat(65)}@mail.example` }, 'email')
  await expectRefused({ email: `a@${'a'.repeat(64)}.example` }, 'email')
  await expectRefused({ email: `a@${'abcdefg.'.repeat(40)}example` }, 'email')
  await expectRefused({ email: `${'a'.repeat(60_000)}@mail.example` }, 'email')
  await expectRefused({ password: `!${'p'.repeat(128)}` }, 'password')

  const local = '\u{1d41a}'.repeat(32)
  const email = `${local}@${'\u00e9'.repeat(50)}.${'\u00e9'.repeat(50)}.${'\u00e9'.repeat(50)}.xn`
  // A label has at most 63 characters as DNS has it.
  await expectRefused({ email: `a@${'\u00e9'.repeat(60)}.example` }, 'email')
  const person = await app.signUp({ username: 'U'.repeat(32), email, password: `!${'p'.repeat(127)}` })
  expect((await app.login(person)).username).toBe(person.username)
})

describe('trailing dots and spaces', () => {
  test.each([' person', 'person ', 'per son', '.person', '-person', '_person', 'person\u3000'])(
    'the username %j is refused',
    async (username) => {
      await expectRefused({ username }, 'username')
    },
  )

  test.each([
    'a@mail.example.',
    'a@mail.example ',
    ' a@mail.example',
    'a.@mail.example',
    '.a@mail.example',
    'a..b@mail.example',
    'a@.mail.example',
    'a@mail..example',
    'a@-mail.example',
    'a@mail-.example',
    'a b@mail.example',
    '"a b"@mail.example',
    'a@mail',
    'a@[127.0.0.1]',
    'a@b@mail.example',
    'A <a@mail.example>',
    'a@mail.example,b@mail.example',
    'a@mail.example\r\nBcc: b@mail.example',
  ])('the address %j is refused', async (email) => {
    await expectRefused({ email }, 'email')
  })

  test('a trailing dot is part of a username and is not trimmed, not even in a path', async () => {
    const plain = await app.signUp({ username: 'dotty' })
    const dotted = await app.signUp({ username: 'dotty.' })
    expect(dotted.accountId).not.toBe(plain.accountId)
    const read = (name: string, token: string) => app.request('GET', `/rest/users/${name}`, { token })
    expect((await read('dotty', plain.accessToken)).status).toBe(200)
    for (const name of ['dotty.', 'dotty..', 'dotty%20', '%20dotty', 'dotty%2e']) {
      expect([name, (await read(name, plain.accessToken)).status]).toEqual([name, 404])
    }
    expect((await read('dotty%2E', dotted.accessToken)).body.content.username).toBe('dotty.')
  })
})

describe('lone surrogates', () => {
  test.each(['\\ud800', '\\udfff', '\\udc00\\ud800'])('%s is refused in every field', async (escaped) => {
    const spoilt = JSON.parse(`"${escaped}"`)
    await expectRefused({ username: `bob${spoilt}` }, 'username')
    await expectRefused({ email: `a${spoilt}@mail.example` }, 'email')
    await expectRefused({ password: `Hello123!${spoilt}` }, 'password')
  })

  test.each(['%ED%A0%80', '%ED%BF%BF', '%C0%80', '%FF', '%', '%zz', '%u0041'])(
    'a path with %s is refused by the gateway',
    async (broken) => {
      const { accessToken } = await app.signUp()
      const { status } = await sendRaw(app.url, 'GET', `/rest/users/a${broken}`, [
        ['authorization', `Bearer ${accessToken}`],
      ])
      expect(status).toBe(400)
    },
  )
})

test.each([
  'a.b.c',
  '1.5',
  'a-b_c.d',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'size',
  'status',
  '0x10',
])('the username %s, which has a meaning elsewhere, is valid', async (username) => {
  const person = await app.signUp({ username, email: `${username}.x@mail.example` })
  const token = person.accessToken
  const own = await app.request('GET', `/rest/users/${username}`, { token })
  expect(own.body.content).toMatchObject({ username, status: 'verified' })
  const byName = await app.request('POST', '/v1/auth/login', {
    json: { username, password: person.password },
  })
  expect(byName.status).toBe(200)
  await expectTaken({ username: username.toUpperCase() }, USERNAME_TAKEN)
  expect((await app.request('POST', '/v1/auth/logout', { token })).status).toBe(204)
  expect((await app.request('GET', '/v1/user', { token: byName.body.accessToken })).status).toBe(200)
})
