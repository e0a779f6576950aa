import { describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { MINUTE_MS } from '../../core/time.ts'
import { startApp } from '../support/app.ts'
import { appCode, resetCode, sessionStatuses, withTwoFactor } from '../support/credentials.ts'
import { answerOf, askOptions, signInWith, withPasskey } from '../support/passkeys.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

/** A passkey as recent proof and as second factor, and what becomes of passkeys when an account changes hands. */

const app = await startApp()
const STALE_MS = 11 * MINUTE_MS
const OTHER = 'Other123!'

type Owner = Awaited<ReturnType<typeof owner>>

const owner = async () => withPasskey(app, await app.signUp())
/** An owner of a passkey whose account also has an authenticator app. */
const guarded = async () => withPasskey(app, await withTwoFactor(app, await app.signUp()))

/** A reset code, mailed after the news about the passkey. */
async function newResetCode(email: string): Promise<string> {
  await app.job('send-mail')
  return resetCode(app, email)
}

const code = ({ body }: TestAnswer) => body?.type?.split(':').at(-1)

/** Every row that takes a passkey besides the sign-in by passkey, with what else the request needs. */
const takers: Record<string, (person: Owner, passkey: unknown) => Promise<TestAnswer>> = {
  'POST /v1/auth/confirm': ({ accessToken: token }, passkey) =>
    app.request('POST', '/v1/auth/confirm', { token, json: { passkey } }),
  'POST /v1/auth/login': ({ email, password }, passkey) =>
    app.request('POST', '/v1/auth/login', { json: { email, password, passkey } }),
  'PUT /v1/user/password': ({ accessToken: token }, passkey) =>
    app.request('PUT', '/v1/user/password', { token, json: { password: OTHER, passkey } }),
  'PUT /v1/user/resetPassword': async ({ email }, passkey) => {
    const json = { code: await newResetCode(email), password: OTHER, passkey }
    return app.request('PUT', '/v1/user/resetPassword', { json })
  },
  'DELETE /v1/auth/2FA': ({ accessToken: token }, passkey) =>
    app.request('DELETE', '/v1/auth/2FA', { token, json: { passkey } }),
}

describe.each(Object.entries(takers))('%s', (_, send) => {
  test('takes a passkey in place of a code', async () => {
    const person = await guarded()
    expect((await send(person, await answerOf(app, person))).status).toBeLessThan(300)
  })

  test('refuses a passkey that has been used, also for something else', async () => {
    const person = await guarded()
    const answer = await answerOf(app, person)
    expect((await signInWith(app, answer)).status).toBe(200)
    const refused = await send(person, answer)
    expect([refused.status, code(refused)]).toEqual([401, 'passkey_refused'])
    expect((await send(person, await answerOf(app, person))).status).toBeLessThan(300)
  })
})

test('another account’s passkey, whatever it says whose it is, and one without a check of its user prove nothing', async () => {
  const [person, other] = [await owner(), await owner()]
  const userHandle = Buffer.from(person.accountId).toString('base64url')
  const [mine] = person.authenticator.passkeys
  const { body: options } = await askOptions(app, person)
  for (const answer of [
    await answerOf(app, other),
    await answerOf(app, other, { userHandle }),
    await answerOf(app, other, { userHandle: null }),
    await answerOf(app, other, { id: mine!.id, userHandle: null }),
    await answerOf(app, person, { userVerified: false }),
    await answerOf(app, person, { origin: 'https://evil.example' }),
    // The answer to the challenge of a new passkey.
    person.authenticator.get({ challenge: options.challenge, rpId: options.rp.id }),
  ]) {
    expect(code(await takers['POST /v1/auth/confirm']!(person, answer))).toBe('passkey_refused')
  }
  const unnamed = await answerOf(app, person, { userHandle: null })
  expect((await takers['POST /v1/auth/confirm']!(person, unnamed)).status).toBe(204)
})

test('an answer that is sent to two endpoints at once is accepted by one', async () => {
  const person = await owner()
  const answer = await answerOf(app, person)
  const sent = [takers['POST /v1/auth/confirm']!(person, answer), signInWith(app, answer)]
  const statuses = (await Promise.all(sent)).map(({ status }) => status)
  expect(statuses.filter((status) => status < 300)).toHaveLength(1)
})

describe('recent proof', () => {
  const createKey = ({ accessToken: token }: SignedInPerson) =>
    app.request('POST', '/v1/keys', { token, json: { name: 'laptop' } })

  test.each([
    ['off', owner],
    ['on', guarded],
  ])(
    'a passkey makes the session recent for ten minutes, with two-factor authentication %s',
    async (_, make) => {
      const person = await make()
      app.advance(STALE_MS)
      const before = await createKey(person)
      expect([before.status, before.body.detail]).toEqual([403, expect.stringContaining('takes a passkey')])
      const json = { passkey: await answerOf(app, person) }
      const confirm = () => app.request('POST', '/v1/auth/confirm', { token: person.accessToken, json })
      expect((await confirm()).status).toBe(204)
      expect((await createKey(person)).status).toBe(201)
      // The answer was lost, and the client sends the request again.
      expect((await confirm()).status).toBe(204)
      app.advance(STALE_MS)
      const refresh = await app.request('POST', '/v1/auth/refresh', {
        json: { refreshToken: person.refreshToken },
      })
      const token = refresh.body.accessToken
      expect((await app.request('POST', '/v1/auth/confirm', { token, json })).status).toBe(401)
    },
  )

  test('the answer that has made one session recent makes no other one recent', async () => {
    const person = await owner()
    const other = await app.login(person)
    const json = { passkey: await answerOf(app, person) }
    const confirm = ({ accessToken: token }: { accessToken: string }) =>
      app.request('POST', '/v1/auth/confirm', { token, json })
    expect((await confirm(person)).status).toBe(204)
    expect((await confirm(other)).status).toBe(401)
  })

  test('a passkey changes the password where the session is old and the old one forgotten', async () => {
    const person = await owner()
    app.advance(STALE_MS)
    const change = (json: object) =>
      app.request('PUT', '/v1/user/password', { token: person.accessToken, json })
    expect((await change({ password: OTHER })).status).toBe(403)
    expect((await change({ password: OTHER, passkey: await answerOf(app, person) })).status).toBe(204)
    expect(await sessionStatuses(app, person)).toEqual([401, 401])
  })
})

describe('second factor', () => {
  const login = ({ email, password }: SignedInPerson, json: object = {}) =>
    app.request('POST', '/v1/auth/login', { json: { email, password, ...json } })

  test('is not asked of an account that has a passkey and no authenticator app', async () => {
    expect((await login(await owner())).status).toBe(200)
  })

  test('is asked where there is an authenticator app, and a code still passes', async () => {
    const person = await guarded()
    expect(code(await login(person))).toBe('two_factor_required')
    expect((await login(person, { twofa: appCode(person.seed) })).status).toBe(200)
  })

  test('a passkey does not stand for the password', async () => {
    const person = await guarded()
    const passkey = await answerOf(app, person)
    const answer = await login({ ...person, password: 'Wrong123!' }, { passkey })
    expect([answer.status, code(answer)]).toEqual([401, 'invalid_credentials'])
    // Its challenge is not used up by that.
    expect((await login(person, { passkey })).status).toBe(200)
  })

  test('twofa and passkey together are refused', async () => {
    const person = await guarded()
    const json = { twofa: appCode(person.seed), passkey: await answerOf(app, person) }
    expect((await login(person, json)).body.errors).toEqual([
      { field: 'passkey', message: 'send either twofa or passkey' },
    ])
  })

  test('a passkey unlocks no codes: after five wrong codes it passes, and codes stay locked', async () => {
    const person = await guarded()
    for (let tries = 0; tries < 5; tries++) await login(person, { twofa: '00000-00000' })
    expect(code(await login(person, { twofa: appCode(person.seed) }))).toBe('two_factor_locked')
    expect((await login(person, { passkey: await answerOf(app, person) })).status).toBe(200)
    expect(code(await login(person, { twofa: appCode(person.seed) }))).toBe('two_factor_locked')
  })

  test('a reset with a passkey may be sent again after its answer was lost', async () => {
    const person = await guarded()
    const json = {
      code: await newResetCode(person.email),
      password: OTHER,
      passkey: await answerOf(app, person),
    }
    const reset = () => app.request('PUT', '/v1/user/resetPassword', { json })
    expect((await reset()).status).toBe(204)
    expect((await reset()).status).toBe(204)
  })

  test('switching two factors off with a passkey may be sent again, and keeps the passkey', async () => {
    const person = await guarded()
    const json = { passkey: await answerOf(app, person) }
    const remove = () => app.request('DELETE', '/v1/auth/2FA', { token: person.accessToken, json })
    const answers = await Promise.all([remove(), remove()])
    expect([...answers, await remove()].map(({ status }) => status)).toEqual([204, 204, 204])
    expect((await signInWith(app, await answerOf(app, person))).status).toBe(200)
    expect((await login(person)).status).toBe(200)
  })
})

describe('the life of an account', () => {
  test('a reset of the password keeps its owner’s passkeys', async () => {
    const person = await owner()
    const json = { code: await newResetCode(person.email), password: OTHER }
    expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(204)
    expect((await signInWith(app, await answerOf(app, person))).status).toBe(200)
  })

  test('a deactivated account’s passkey is refused, and signs in again after the restore', async () => {
    const person = await owner()
    const token = person.accessToken
    await app.request('PUT', '/api/users/current/deactivate', { token })
    expect((await signInWith(app, await answerOf(app, person))).status).toBe(403)
    const { email, password } = person
    await app.request('POST', '/api/users/restore', { json: { email, password } })
    expect((await signInWith(app, await answerOf(app, person))).status).toBe(200)
  })

  test('without its passkeys an account takes new ones, and the old ones open nothing', async () => {
    const person = await owner()
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`REMOVE #passkeys`)
    expect((await signInWith(app, await answerOf(app, person))).status).toBe(401)
    expect((await signInWith(app, await answerOf(app, await withPasskey(app, person)))).status).toBe(200)
  })

  test('the sessions of a passkey end with the password, and with a logout everywhere', async () => {
    const person = await owner()
    const signedIn = async () => (await signInWith(app, await answerOf(app, person))).body
    const first = await signedIn()
    await app.request('PUT', '/v1/user/password', { token: person.accessToken, json: { password: OTHER } })
    expect(await sessionStatuses(app, first)).toEqual([401, 401])
    const second = await signedIn()
    const { accessToken: token } = await signedIn()
    await app.request('POST', '/v1/auth/logout', { token, json: { everywhere: true } })
    expect(await sessionStatuses(app, second)).toEqual([401, 401])
  })

  test('what is stored of ten passkeys of usual size is at most 4 KB', async () => {
    const person = await app.signUp()
    for (let nth = 0; nth < 10; nth++) await withPasskey(app, person)
    const { table } = await app.ports()
    const profile = await table.get(keys.profile(person.accountId))
    expect(JSON.stringify(profile?.passkeys).length).toBeLessThan(4096)
  })
})
