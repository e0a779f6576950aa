import { DynamoDBClient, ScanCommand, type ScanCommandOutput } from '@aws-sdk/client-dynamodb'
import { describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { defaultKeyLookup, readDefaultKey } from '../../core/keys/default-key.ts'
import { keyHash } from '../../core/keys/key-text.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { withTwoFactor } from '../support/credentials.ts'
import { createKey, defaultKey, liveKeys } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { expectError, outsideCalls, targetOf } from './contract.ts'

const app = await startApp()

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The whole table as text, as its reader would see it. Only tests may scan. */
async function wholeTable(): Promise<string> {
  const client = new DynamoDBClient({ endpoint: app.stack.dynamo.rawUrl })
  const items: unknown[] = []
  let start: ScanCommandOutput['LastEvaluatedKey']
  do {
    const page: ScanCommandOutput = await client.send(
      new ScanCommand({ TableName: app.stack.tableName, ExclusiveStartKey: start, ConsistentRead: true }),
    )
    items.push(...(page.Items ?? []))
    start = page.LastEvaluatedKey
  } while (start)
  client.destroy()
  // Binary values appear as base64, as hex and as text.
  return JSON.stringify(items, (_, value) =>
    value instanceof Uint8Array
      ? [
          Buffer.from(value).toString('base64'),
          Buffer.from(value).toString('hex'),
          Buffer.from(value).toString(),
        ]
      : value,
  )
}

/** The forms in which a secret could be stored unprotected. */
const forms = (secret: string): string[] => [
  secret,
  secret.replaceAll('-', ''),
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  Buffer.from(secret).toString('base64url'),
  Buffer.from(secret).toString('hex'),
]

describe('a key', () => {
  test('is a UUID v4 or has 256 random bits, and no two keys share a part', async () => {
    const people = [await app.signUp(), await app.signUp()]
    const secrets = []
    for (const person of people) {
      expect(await defaultKey(app, person)).toMatch(UUID_V4)
      for (let count = 0; count < 3; count++) {
        const { key } = await createKey(app, person)
        const [, secret = ''] = /^bsr_([0-9a-f]{64})_/.exec(key) ?? []
        expect(secret).toHaveLength(64)
        secrets.push(secret)
      }
    }
    const pieces = secrets.flatMap((secret) => secret.match(/.{16}/g) ?? [])
    expect(new Set(pieces).size).toBe(pieces.length)
  })

  test('is nowhere in the table in the clear, nor is a password, seed, recovery code, mailed code or token', async () => {
    const person = await withTwoFactor(app, await app.signUp({ password: 'Pl4nted!Pass%word' }))
    const further = [await createKey(app, person), await createKey(app, person)]
    const { body: rotated } = await app.request('POST', `/v1/keys/${further[1]?.id}/rotate`, {
      token: person.accessToken,
    })
    const unrotated = await defaultKey(app, person)
    await app.request('POST', '/v1/keys/default/rotate', { token: person.accessToken })
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    const secrets = {
      password: person.password,
      seed: person.seed,
      accessToken: person.accessToken,
      refreshToken: person.refreshToken,
      mailedCode: app.mailedCode(person.email),
      secretHalf: app.mailedCode(person.email).slice(16),
      defaultKey: await defaultKey(app, person),
      unrotated,
      rotated: rotated.key,
      ...Object.fromEntries(further.map(({ key }, n) => [`further${n}`, key])),
      ...Object.fromEntries(person.recoveryCodes.map((code, n) => [`recovery${n}`, code])),
    }
    const stored = await wholeTable()
    for (const expected of [person.accountId, person.email, person.username])
      expect(stored).toContain(expected)
    for (const [name, secret] of Object.entries(secrets)) {
      const found = forms(secret).filter((form) => stored.includes(form))
      expect([name, found]).toEqual([name, []])
    }
    for (const { key } of further) expect(stored).not.toContain(key.slice(12, 68))
    // This shows that the search finds stored text, such as a hash.
    expect(stored).toContain(keyHash(rotated.key).toString('hex'))
  })

  test('that is the default key can be decrypted for its own account only', async () => {
    const [ada, eve] = [await app.signUp(), await app.signUp()]
    const ports = await app.ports()
    const [a, e] = [await readAccount(ports, ada.accountId), await readAccount(ports, eve.accountId)]
    if (!a || !e) throw new Error('the accounts are gone')
    expect(() => readDefaultKey(ports, { ...e, defaultKey: a.defaultKey })).toThrow()
  })
})

describe('from the next request on', () => {
  const works = async (person: SignedInPerson, key: string) =>
    (await liveKeys(app, person, [key])).length === 1

  test('a deleted key is refused', async () => {
    const person = await app.signUp()
    const { id, key } = await createKey(app, person)
    expect(await works(person, key)).toBe(true)
    await app.request('DELETE', `/v1/keys/${id}`, { token: person.accessToken })
    expect(await works(person, key)).toBe(false)
  })

  test('a rotated key is refused and the new one accepted, for a further key and the default key', async () => {
    const person = await app.signUp()
    const further = await createKey(app, person)
    for (const [id, old] of [
      [further.id, further.key],
      ['default', await defaultKey(app, person)],
    ] as const) {
      expect(await works(person, old)).toBe(true)
      const { body } = await app.request('POST', `/v1/keys/${id}/rotate`, { token: person.accessToken })
      expect([await works(person, old), await works(person, body.key)]).toEqual([false, true])
    }
  })

  test('a rotated default key no longer leads to an account', async () => {
    const person = await app.signUp()
    const ports = await app.ports()
    const before = await readAccount(ports, person.accountId)
    await app.request('POST', '/v1/keys/default/rotate', { token: person.accessToken })
    const after = await readAccount(ports, person.accountId)
    if (!before || !after) throw new Error('the account is gone')
    expect(await ports.table.get(defaultKeyLookup(before))).toBe(undefined)
    expect(await ports.table.get(defaultKeyLookup(after))).toMatchObject({
      accountId: person.accountId,
    })
  })
})

/** Rows whose path names a key. */
const named = rows.filter((row) => row.auth === 'account' && row.routes[0].startsWith('POST /v1/keys/{id}'))
const deleted = rows.filter((row) => row.routes[0] === 'DELETE /v1/keys/{id}')

describe.each([...named, ...deleted].map((row) => [rowKey(row), row] as const))('%s', (_, row: Placed) => {
  async function ask(person: SignedInPerson, id: string): Promise<TestAnswer> {
    const [method, target] = targetOf(row.routes[0], { id })
    app.resetCalls()
    return app.request(method, target, { token: person.accessToken })
  }

  /** The content of an answer without the time and the request's id. */
  function comparable({ status, headers, text }: TestAnswer) {
    const { date, 'apigw-requestid': id = '', ...rest } = Object.fromEntries(headers)
    return { status, headers: rest, text: text.replaceAll(id, '<id>') }
  }

  test('another account’s key and an unknown key have the same answer and the same calls', async () => {
    const [person, other] = [await app.signUp(), await app.signUp()]
    const theirs = await createKey(app, other)
    const [foreign, calls] = [await ask(person, theirs.id), outsideCalls(app)]
    expectError(row, foreign, 'not_found')
    expect(comparable(await ask(person, '0'.repeat(24)))).toEqual(comparable(foreign))
    expect(outsideCalls(app)).toEqual(calls)
    expect(await liveKeys(app, other, [theirs.key])).toEqual([theirs.key])
  })

  test('an id that looks like a key of the table, or is too long for one, is not found', async () => {
    const person = await app.signUp()
    const ids = [
      '#PROFILE',
      '#QUOTA',
      '../#PROFILE',
      'KEY#default',
      `ACCOUNT#${person.accountId}`,
      '*',
      '__proto__',
      'constructor',
      ' ',
      '\0',
      '\ud83d\ude00',
      'a'.repeat(1_020),
      'a'.repeat(3_000),
      'é'.repeat(600),
    ]
    // Some of these ids are not a path segment to the gateway, so the gateway itself answers.
    for (const id of ids) expect([id, (await ask(person, id)).status]).toEqual([id, 404])
    expect((await app.request('GET', '/v1/keys', { token: person.accessToken })).body).toHaveLength(1)
  })
})

describe('an access token is not an application key', () => {
  test('every route of a key refuses it, as a bearer token and as x-api-key, without a call', async () => {
    const person = await app.signUp()
    const taking = rows.filter(({ auth }) => auth === 'key')
    expect(taking).not.toEqual([])
    for (const row of taking) {
      const [method, target] = targetOf(row.routes[0])
      const { body: json } = await sampleOf(app, row, person)
      const token = person.accessToken
      for (const headers of [{}, { authorization: `Bearer ${token}` }, { 'x-api-key': token }]) {
        app.resetCalls()
        expectError(row, await app.request(method, target, { headers, json }), 'unauthorized')
        expect(outsideCalls(app)).toEqual({})
      }
    }
  })
})

describe('an application key is not an access token', () => {
  test('every route of an account refuses it, as a bearer token and in any other place', async () => {
    const person = await app.signUp()
    const texts = [await defaultKey(app, person), (await createKey(app, person)).key]
    for (const row of rows.filter(({ auth }) => auth === 'account')) {
      const sample = await sampleOf(app, row, person)
      const [method, target] = targetOf(row.routes[0], sample.path)
      for (const key of texts) {
        const headersOf: Record<string, string>[] = [
          { authorization: `Bearer ${key}` },
          { authorization: key },
          { authorization: `ApiKey ${key}` },
          { authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` },
          { 'x-api-key': key },
        ]
        for (const headers of headersOf) {
          app.resetCalls()
          const json = sample.body && { json: sample.body }
          const { status } = await app.request(method, target, { headers, ...json })
          expect([rowKey(row), [401, 403].includes(status), outsideCalls(app)]).toEqual([
            rowKey(row),
            true,
            {},
          ])
        }
      }
    }
    expect((await app.request('GET', '/v1/user', { token: person.accessToken })).status).toBe(200)
  })
})
