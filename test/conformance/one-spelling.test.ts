import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bytesOfBase64url } from '../../core/base64url.ts'
import { renewalLinkCode } from '../../core/notifications/renewal-link.ts'
import { newAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { createKey, defaultKey } from '../support/keys.ts'
import { adminKeyToken } from '../support/operators.ts'
import { add, answerOf, newPasskey, signInWith, withPasskey } from '../support/passkeys.ts'
import { newConsumer } from '../support/quota.ts'
import { reserve } from '../support/reservations.ts'
import { asService, newService } from '../support/services.ts'

/** Whatever opens something or names a place is accepted in the one spelling in which Bursar gave it out. */

const app = await startApp()
const ROOT = join(import.meta.dirname, '..', '..')

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Other spellings of the same bytes, as Node and others read base64url. */
function respelled(text: string): string[] {
  const bytes = Buffer.from(text, 'base64url')
  const last = [...ALPHABET].map((char) => text.slice(0, -1) + char)
  const more = [
    `${text}=`,
    `${text}==`,
    text.replaceAll('-', '+').replaceAll('_', '/'),
    bytes.toString('base64'),
  ]
  const same = [...last, ...more].filter((each) => Buffer.from(each, 'base64url').equals(bytes))
  return [...new Set(same)].filter((each) => each !== text)
}

/** The same letters in another case. */
const recased = (text: string): string[] =>
  [text.toUpperCase(), text.replace(/[a-f]/, (letter) => letter.toUpperCase())].filter(
    (each) => each !== text,
  )

describe('base64url', () => {
  test.each([0, 1, 2, 3, 4, 16, 31, 32, 33, 256])('%s bytes have one spelling', (size) => {
    const bytes = Buffer.from(Array.from({ length: size }, (_, at) => (at * 89 + 251) % 256))
    const text = bytes.toString('base64url')
    expect(bytesOfBase64url(text)).toEqual(bytes)
    expect(
      [...respelled(text), `${text} `, ` ${text}`, `${text}\n`, `${text}.`].filter(bytesOfBase64url),
    ).toEqual([])
    if (size % 3 !== 0) expect(respelled(text).length).toBeGreaterThan(2)
  })

  test('nothing that comes from outside is decoded in another way', () => {
    const own: Record<string, string> = {
      'core/base64url.ts': 'is this decoder',
      'core/adapters/cognito.ts': 'reads a token that the vault has just given out',
      'core/adapters/webauthn.ts': 'reads keys that are stored',
    }
    const files = ['core', 'functions'].flatMap((folder) =>
      (readdirSync(join(ROOT, folder), { recursive: true }) as string[]).map((file) => `${folder}/${file}`),
    )
    const decoding = files
      .filter((file) => file.endsWith('.ts') && !/^functions\/(pages|client|deploy)\//.test(file))
      .filter((file) =>
        /Buffer\.from\([^()]*(?:\([^()]*\)[^()]*)*'base64url'\)/.test(readFileSync(join(ROOT, file), 'utf8')),
      )
    expect(decoding.filter((file) => !(file in own))).toEqual([])
  })
})

const person = await newConsumer(app)
const passkeyOwner = await withPasskey(app, await app.signUp())
const { accessToken: token } = person

/** A spelling that works, others that must not, and whether a request with a spelling was accepted. */
interface Kind {
  text: string
  others: string[]
  isAccepted(text: string): Promise<boolean>
}

const isOk = async (method: string, path: string, options: Parameters<typeof app.request>[2]) =>
  (await app.request(method, path, options)).status < 300

/** An access token in which one of its three parts is spelled in another way. */
const respelledToken = (at: number): string[] =>
  respelled(token.split('.')[at] ?? '').map((part) => token.split('.').with(at, part).join('.'))

const further = await createKey(app, person)
const service = await newService(app)
const admin = await newAdminKey(app, 'read')
const other = await app.signUp()
const sessions = (await app.request('GET', '/v1/auth/sessions', { token: other.accessToken })).body
const activity = await app.request('GET', '/v1/user/activity?limit=1', { token })
const activityCursor = /cursor=([^&>]+)/.exec(activity.headers.get('link') ?? '')?.[1] ?? ''
const reservation = (await reserve(app, person.key, { units: 1 })).body.id
const timeline = Buffer.from('{"AUDIT#":"0"}').toString('base64url')

const reading = (path: string, text: string) => isOk('GET', `${path}${encodeURIComponent(text)}`, { token })

const KINDS: Record<string, Kind> = {
  'an access token': {
    text: token,
    others: [0, 1, 2].flatMap(respelledToken),
    isAccepted: (text) => isOk('GET', '/v1/user', { token: text }),
  },
  'an application key': {
    text: further.key,
    others: [...recased(further.key), further.key.replace(/_(\d)_/, '_0$1_')],
    isAccepted: (text) => isOk('GET', '/v1/usage/balance', { token: text }),
  },
  'a default key': {
    text: await defaultKey(app, person),
    others: recased(await defaultKey(app, person)),
    isAccepted: (text) => isOk('GET', '/v1/usage/balance', { token: text }),
  },
  'the credential of a service': {
    text: service.credential,
    others: recased(service.credential),
    isAccepted: (credential) =>
      isOk('GET', '/v1/usage/balance', {
        headers: asService({ ...service, credential }, { account: person.accountId }),
      }),
  },
  'an admin key': {
    text: admin.credential,
    others: recased(admin.credential),
    isAccepted: (text) => isOk('GET', '/admin/api/users', { token: adminKeyToken(text) }),
  },
  'the code of a mailed link': {
    text: renewalLinkCode(await app.ports(), { act: 'stop', accountId: person.accountId }),
    others: respelled(renewalLinkCode(await app.ports(), { act: 'stop', accountId: person.accountId })),
    isAccepted: (code) => isOk('POST', '/v1/user/renewal/link', { json: { code } }),
  },
  'the cursor of an export': {
    text: Buffer.from('#PROFILE').toString('base64url'),
    others: respelled(Buffer.from('#PROFILE').toString('base64url')),
    isAccepted: (cursor) => isOk('POST', '/v1/user/export', { token, json: { cursor } }),
  },
  'the cursor of the activity': {
    text: activityCursor,
    others: [`0${activityCursor}`, ...recased(activityCursor)],
    isAccepted: (text) => reading('/v1/user/activity?cursor=', text),
  },
  'the cursor of the statement': {
    text: '1',
    others: ['01', '1.0', '+1', '1e0'],
    isAccepted: (text) => reading('/v1/ledger?cursor=', text),
  },
  'the cursor of a timeline': {
    text: timeline,
    others: [
      ...respelled(timeline),
      ...['{"AUDIT#": "0"}', '{"AUDIT#":"1","AUDIT#":"0"}', ' {"AUDIT#":"0"}', '{"AUDIT#":"\\u0030"}'].map(
        (json) => Buffer.from(json).toString('base64url'),
      ),
    ],
    isAccepted: (text) =>
      isOk('GET', `/ops/read/accounts/${person.accountId}/timeline?cursor=${encodeURIComponent(text)}`, {
        operator: 'read',
      }),
  },
  'the id of a session': {
    text: sessions[0].id,
    others: recased(sessions[0].id),
    isAccepted: (id) => isOk('DELETE', `/v1/auth/sessions/${id}`, { token: other.accessToken }),
  },
  'the id of a reservation': {
    text: reservation,
    others: recased(reservation),
    isAccepted: (id) => isOk('DELETE', `/v1/usage/reservations/${id}`, { token: person.key }),
  },
}

test.each(Object.entries(KINDS))(
  '%s is accepted in one spelling',
  async (_, { text, others, isAccepted }) => {
    expect(others).not.toEqual([])
    for (const other of others) expect([other, await isAccepted(other)]).toEqual([other, false])
    expect([text, await isAccepted(text)]).toEqual([text, true])
  },
)

describe('a passkey', () => {
  const fields = ['id', 'rawId'] as const
  const inResponse = ['clientDataJSON', 'authenticatorData', 'signature', 'userHandle'] as const

  test('signs in with one spelling of each of its members', async () => {
    const answer = await answerOf(app, passkeyOwner)
    let tried = 0
    for (const field of fields)
      for (const text of respelled(answer[field])) {
        tried++
        expect((await signInWith(app, { ...answer, [field]: text })).status).toBeGreaterThanOrEqual(400)
      }
    for (const field of inResponse)
      for (const text of respelled(String(answer.response[field]))) {
        tried++
        const response = { ...answer.response, [field]: text }
        expect((await signInWith(app, { ...answer, response })).status).toBeGreaterThanOrEqual(400)
      }
    expect(tried).toBeGreaterThan(10)
    expect((await signInWith(app, answer)).status).toBe(200)
  })

  test('is added with one spelling of its id', async () => {
    const owner = await app.signUp()
    const made = await newPasskey(app, owner)
    for (const id of respelled(made.id)) {
      expect((await add(app, owner, { ...made, id })).status).toBe(400)
      expect((await add(app, owner, { ...made, rawId: id })).status).toBe(400)
    }
    expect((await add(app, owner, made)).status).toBe(201)
  })
})
