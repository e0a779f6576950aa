import { describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { answerOf, signInWith, withPasskey } from '../support/passkeys.ts'
import { newPerson } from '../support/people.ts'
import { rowKey } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
// The SDK repeats a refused call if the Date header is minutes off its clock. So the test's clock shows real
// time.
app.advance(performance.timeOrigin + performance.now() - Date.now())

/** An answer without the time and the request's id, and the calls that it caused. */
async function observed(asking: () => Promise<TestAnswer>) {
  app.resetCalls()
  const { status, headers, text } = await asking()
  // How many requests the address has left is one fewer each time, whatever the name.
  const { date, ratelimit, 'apigw-requestid': id = '', ...rest } = Object.fromEntries(headers)
  return { status, headers: rest, text: text.replaceAll(id, '<id>'), calls: app.calls() }
}

/** What a public row could tell of accounts, and where it is held that it does not. */
const HELD: Record<string, string> = {
  'http.health': 'knows no account',
  'v1.getConfig': 'knows no account',
  'http.openapiDocument': 'knows no account',
  'rest.createUser': 'registration, below',
  'v1.keyLogin': 'takes a key, which is a secret, and no name',
  'v1.register': 'answers as rest.createUser does, whose limit it shares',
  'v1.login': 'sign-in, below',
  'v1.passkeyLogin': 'sign-in by passkey, below',
  'v1.passkeyChallenge': 'sign-in by passkey, below',
  'v1.activate': 'codes, below',
  'v1.refresh': 'refresh tokens, below',
  'v1.logout': 'refresh tokens, below',
  'v1.requestPasswordReset': 'reset.deep.test.ts',
  'v1.resetPassword': 'reset.deep.test.ts',
  'v1.requestRecovery': 'reset.deep.test.ts',
  'v1.beginRecovery': 'begin-recovery.test.ts, with codes that name the account',
  'v1.finishRecovery': 'finish-recovery.test.ts, with codes that name the account',
  'v1.stopRecoveryByLink': 'its code names the account, and is a MAC',
  'v1.resend': 'resending, below',
  'v1.useRenewalLink': 'its code names the account, and is a MAC',
  'api.restore': 'deletion, below, and restore.test.ts',
  'webhooks.stripe': 'is signed by Stripe',
}

test('every public row is held to tell nobody which accounts exist', () => {
  const open = rows.filter(({ auth }) => auth === 'public')
  expect(open.map(rowKey).sort()).toEqual(Object.keys(HELD).sort())
})

test('resending is answered alike for an address in every state, and for an unknown one', async () => {
  const { table } = await app.ports()
  const resend = async (email: string) => {
    const { status, text } = await app.request('POST', '/v1/auth/resend', { json: { email } })
    return [status, text]
  }
  const unconfirmed = newPerson()
  await app.register(unconfirmed)
  const unknown = await resend(newPerson().email)
  expect(await resend(unconfirmed.email)).toEqual(unknown)
  for (const status of ['active', 'suspended', 'deactivated', 'pending', 'erased']) {
    const { accountId, email } = await app.signUp()
    await table.update(keys.profile(accountId), expr`SET #status = ${status}`)
    expect(await resend(email)).toEqual(unknown)
  }
})

const login = (json: object) => () => app.request('POST', '/v1/auth/login', { json })

describe('registration', () => {
  test('of a known address or name is 409 and says which of the two, in any case, but nothing about its owner', async () => {
    const known = await app.signUp()
    const { register } = app
    const byEmail = await observed(() => register(newPerson({ email: known.email.toUpperCase() })))
    const byName = await observed(() => register(newPerson({ username: known.username.toUpperCase() })))
    const { username, email } = known
    const both = await observed(() => register(newPerson({ username, email, password: 'Another1!' })))
    expect([byEmail.status, byEmail.text]).toEqual([
      409,
      '{"status":0,"message":"Another account has this address."}',
    ])
    expect([byName.status, byName.text]).toEqual([
      409,
      '{"status":0,"message":"Another account has this username."}',
    ])
    expect(both).toMatchObject({ status: 409, text: byName.text })
  })

  test('of a known address has the same answer in every state of its account', async () => {
    const { table } = await app.ports()
    const unconfirmed = newPerson()
    await app.register(unconfirmed)
    const [active, suspended, deactivated] = [await app.signUp(), await app.signUp(), await app.signUp()]
    for (const [{ accountId }, status] of [
      [suspended, 'suspended'],
      [deactivated, 'deactivated'],
    ] as const) {
      await table.update(keys.profile(accountId), expr`SET #status = ${status}`)
    }
    const reference = await observed(() => app.register(newPerson({ email: active.email })))
    for (const { email } of [unconfirmed, suspended, deactivated]) {
      expect(await observed(() => app.register(newPerson({ email })))).toEqual(reference)
    }
  })

  test('of a known address sends no mail and does not change its account', async () => {
    const known = await app.signUp()
    const sent = app.stack.mail.messages(known.email).length
    await app.register(newPerson({ email: known.email, password: 'Other123!' }))
    expect(app.stack.mail.messages(known.email)).toHaveLength(sent)
    expect((await app.login(known)).accountId).toBe(known.accountId)
  })
})

describe('sign-in', () => {
  test.each(['email', 'username'] as const)(
    'with an unknown %s has the same answer and the same calls as one with a wrong password',
    async (name) => {
      const known = await app.signUp()
      const unknown = newPerson()
      const password = 'Wrong123!'
      const right = await observed(login({ [name]: known[name], password }))
      const wrong = await observed(login({ [name]: unknown[name], password }))
      expect(right.status).toBe(401)
      expect(wrong).toEqual(right)
    },
  )

  test('with a wrong password has the same answer for an unconfirmed, suspended or deactivated account', async () => {
    const { table } = await app.ports()
    const unknown = await observed(login({ email: newPerson().email, password: 'Wrong123!' }))
    for (const status of ['active', 'suspended', 'deactivated', 'pending', 'erased']) {
      const { accountId, email } = await app.signUp()
      await table.update(keys.profile(accountId), expr`SET #status = ${status}`)
      expect(await observed(login({ email, password: 'Wrong123!' }))).toEqual(unknown)
    }
  })

  test('with a wrong password ten times in a row equals ten sign-ins with an unknown name', async () => {
    const known = await app.signUp()
    const unknown = newPerson()
    for (let tries = 1; tries <= 10; tries++) {
      const right = await observed(login({ email: known.email, password: 'Wrong123!' }))
      const wrong = await observed(login({ email: unknown.email, password: 'Wrong123!' }))
      expect([tries, right]).toEqual([tries, wrong])
    }
  })

  test('with a wrong password has the same answer for any length and kind of password', async () => {
    const known = await app.signUp()
    const unknown = newPerson()
    for (const password of [
      'x',
      ' ',
      ' x',
      'x ',
      '\t',
      '密码',
      `${known.password} `,
      'x'.repeat(128),
      'x'.repeat(129),
      '',
    ]) {
      // No name is locked by the passwords before.
      app.advance(15 * 60_000)
      const right = await observed(login({ email: known.email, password }))
      const wrong = await observed(login({ email: unknown.email, password }))
      expect([password, right]).toEqual([password, wrong])
      expect([400, 401]).toContain(right.status)
    }
  })

  test('with a name that looks like an account’s id or key equals one with an unknown name', async () => {
    const known = await app.signUp()
    const unknown = await observed(login({ username: newPerson().username, password: known.password }))
    for (const username of [known.accountId, '000000000000000000000000']) {
      expect(await observed(login({ username, password: known.password }))).toEqual(unknown)
    }
  })
})

describe('sign-in by passkey', () => {
  test('the options are the same for everybody, and need nothing', async () => {
    const ask = () => observed(() => app.request('POST', '/v1/auth/passkeys/options/get'))
    const [one, another] = [await ask(), await ask()]
    const shape = ({ text, ...rest }: typeof one) => ({ ...rest, ...JSON.parse(text), challenge: '' })
    expect(shape(another)).toEqual(shape(one))
    expect(one.calls.dynamodb).toEqual({})
  })

  test('of an unknown account, one without passkeys, and each state of one with another’s passkey has the same answer and the same calls', async () => {
    const { table } = await app.ports()
    const stranger = await withPasskey(app, await app.signUp())
    const attempt = async (accountId: string) => {
      const userHandle = Buffer.from(accountId).toString('base64url')
      const passkey = await answerOf(app, stranger, { userHandle })
      return observed(() => signInWith(app, passkey))
    }
    const unknown = await attempt('0'.repeat(24))
    expect(unknown.status).toBe(401)
    const without = await app.signUp()
    expect(await attempt(without.accountId)).toEqual(unknown)
    for (const status of ['active', 'suspended', 'deactivated', 'pending', 'erased']) {
      const { accountId } = await withPasskey(app, await app.signUp())
      await table.update(keys.profile(accountId), expr`SET #status = ${status}`)
      expect(await attempt(accountId)).toEqual(unknown)
    }
  })
})

test('an account that is being deleted, or is erased, is answered as an unknown one without the password', async () => {
  const person = await app.signUp()
  await app.request('DELETE', '/v1/user', { token: person.accessToken })
  const { email } = person
  const unknown = newPerson()
  const restore = (json: object) => () => app.request('POST', '/api/users/restore', { json })
  for (const ask of [login, restore]) {
    const password = 'Wrong123!'
    const wrong = await observed(ask({ email, password }))
    expect(wrong).toEqual(await observed(ask({ email: unknown.email, password })))
    expect(wrong.status).toBe(401)
  }
  app.advance(30 * 24 * 3_600_000)
  await app.job('sweep')
  const { password } = person
  expect(await observed(login({ email, password }))).toEqual(
    await observed(login({ email: newPerson().email, password })),
  )
})

test('unknown, wrong and superseded codes have the same answer', async () => {
  const person = newPerson()
  await app.register(person)
  const code = app.mailedCode(person.email)
  const activate = async (typed: string) => {
    const { calls, ...answer } = await observed(() =>
      app.request('POST', '/v1/auth/activate', { json: { code: typed } }),
    )
    return answer
  }
  const unknown = await activate('0'.repeat(32))
  expect(unknown.status).toBe(400)
  expect(await activate(`${code.slice(0, 16)}${'0'.repeat(16)}`)).toEqual(unknown)
  expect((await activate(code)).status).toBe(200)
  expect(await activate(`${code.slice(0, 16)}${'0'.repeat(16)}`)).toEqual(unknown)
})

test('refresh tokens that are unknown, garbled, revoked or of a deleted account have the same answer', async () => {
  const refresh = async (refreshToken: string) => {
    const { calls, ...answer } = await observed(() =>
      app.request('POST', '/v1/auth/refresh', { json: { refreshToken } }),
    )
    return answer
  }
  const unknown = await refresh('unknown')
  expect(unknown.status).toBe(401)
  const person = await app.signUp()
  const [gone, out] = [await app.signUp(), await app.signUp()]
  const { table, identity } = await app.ports()
  await table.remove(keys.profile(gone.accountId))
  await identity.revoke(out.refreshToken)
  await app.request('POST', '/v1/auth/logout', { token: person.accessToken })
  const tokens = [
    person.refreshToken,
    gone.refreshToken,
    out.refreshToken,
    person.accessToken,
    `${person.refreshToken}x`,
    'a.b.c',
    'ü',
    '\n',
  ]
  for (const token of tokens) expect(await refresh(token)).toEqual(unknown)
})

test('signing out with a refresh token that is unknown, garbled or of a deleted account has the same answer', async () => {
  const signOut = async (refreshToken: string) => {
    const { calls, ...answer } = await observed(() =>
      app.request('POST', '/v1/auth/logout', { json: { refreshToken } }),
    )
    return answer
  }
  const unknown = await signOut('unknown')
  expect(unknown.status).toBe(401)
  const gone = await app.signUp()
  await (await app.ports()).table.remove(keys.profile(gone.accountId))
  for (const token of [gone.refreshToken, gone.accessToken, `${gone.refreshToken}x`, 'a.b.c', 'ü'])
    expect(await signOut(token)).toEqual(unknown)
})
