import { describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { renameAccount } from '../../core/account/profile.ts'
import { changePassword } from '../../core/credentials/password.ts'
import { endEverySession, endSession } from '../../core/credentials/sessions.ts'
import type { DomainError } from '../../core/errors.ts'
import { createKey } from '../../core/keys/application-keys.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { appCode, resetCode, withTwoFactor } from '../support/credentials.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()
const ports = await app.ports()
const code = (error: unknown) => (error as DomainError).code

/** A caller as the gate has read them, just before something else is written. */
async function admitted() {
  const person = await app.signUp()
  return { person, ...(await callerOf(person)) }
}

async function callerOf({ accountId }: { accountId: string }) {
  const account = (await readAccount(ports, accountId))!
  return { account, sessionId: Object.keys(account.sessions)[0]! }
}

const sessionsOf = async (id: string) => Object.keys((await readAccount(ports, id))!.sessions)

test('a change of holder does not revive a session that was ended meanwhile', async () => {
  const caller = await admitted()
  await endSession(ports, caller.account, caller.sessionId)
  const { email } = caller.person
  await expect(renameAccount(ports, caller, { email }).catch(code)).resolves.toBe('session_ended')
  expect(await sessionsOf(caller.account.id)).toEqual([])
})

test('a key that loses the race with a replacement of all keys is not made for the session that has ended', async () => {
  const caller = await admitted()
  const change = { newPassword: 'Changed1!', oldPassword: caller.person.password, replaceKeys: true }
  await changePassword(ports, caller, change)
  await expect(createKey(ports, caller, { name: 'laptop' }).catch(code)).resolves.toBe('session_ended')
  expect((await readAccount(ports, caller.account.id))?.keyCount).toBe(1)
})

test('a replacement of all keys that loses the race with a new key revokes that key as well', async () => {
  const caller = await admitted()
  await createKey(ports, caller, { name: 'laptop' })
  const change = { newPassword: 'Changed1!', oldPassword: caller.person.password, replaceKeys: true }
  await changePassword(ports, caller, change)
  const now = await readAccount(ports, caller.account.id)
  expect([now?.keyCount, now?.sessions]).toEqual([1, {}])
})

test('a repeat that asks for new keys succeeds only if that change of the password has replaced them', async () => {
  for (const keys of ['rotate', undefined] as const) {
    const { person } = await admitted()
    const json = { password: 'Changed1!', oldPassword: person.password }
    const put = (sent: object) =>
      app.request('PUT', '/v1/user/password', { token: person.accessToken, json: sent })
    expect((await put({ ...json, ...(keys && { keys }) })).status).toBe(204)
    expect((await put({ ...json, keys: 'rotate' })).status).toBe(keys ? 204 : 401)
  }
})

test('a logout everywhere voids the change of the address that one of the sessions has begun', async () => {
  const { person, account, sessionId } = await admitted()
  await renameAccount(ports, { account, sessionId }, { email: `other-${person.email}` })
  await endEverySession(ports, account)
  const now = await readAccount(ports, account.id)
  expect([now?.pendingEmail, now?.changeCode, now?.sessions]).toEqual([undefined, undefined, {}])
})

describe('keys of an account whose registration somebody else has made', () => {
  const spend = (key: string) => app.request('POST', '/v1/usage', { token: key, json: { units: 1 } })
  const keyOf = async ({ accessToken: token }: { accessToken: string }) =>
    (await app.request('GET', '/v1/user', { token })).body.apiKey as string
  const password = 'Changed1!'
  const reset = async (email: string) => {
    await app.job('send-mail')
    const json = { code: await resetCode(app, email), password }
    return app.request('PUT', '/v1/user/resetPassword', { json })
  }

  test('end with the owner’s first reset, also if the owner had confirmed the address before', async () => {
    const squatter = newPerson()
    await app.register(squatter)
    await app.confirm(squatter)
    const again = await app.login(squatter)
    const read = [await keyOf(again), (await createKey(ports, await callerOf(again), { name: 'laptop' })).key]
    for (const key of read) expect((await spend(key)).status).toBe(200)
    expect((await reset(squatter.email)).status).toBe(204)
    for (const key of read) expect((await spend(key)).status).toBe(401)
    await app.job('send-mail')
    const subjects = app.stack.mail.messages(squatter.email).map(({ subject }) => subject)
    expect(subjects).toContain('Your application keys were replaced')
  })

  test('stay once the owner of the address has set the password, or has paid', async () => {
    const person = await app.signUp()
    await reset(person.email)
    const key = await keyOf(await app.login({ ...person, password }))
    await reset(person.email)
    expect((await spend(key)).status).toBe(200)
    const buyer = await app.signUp()
    await ports.table.update(keys.profile(buyer.accountId), expr`SET #paid = ${true}`)
    const paid = await keyOf(buyer)
    await reset(buyer.email)
    expect((await spend(paid)).status).toBe(200)
  })
})

test('a named request with a code in its header is answered again as the first time', async () => {
  const { person } = await admitted()
  const { seed } = await withTwoFactor(app, person)
  app.advance(11 * 60_000)
  const headers = { 'x-proof-code': appCode(seed), 'idempotency-key': 'laptop-1' }
  const create = () =>
    app.request('POST', '/v1/keys', { token: person.accessToken, headers, json: { name: 'laptop' } })
  const [first, second] = [await create(), await create()]
  expect([second.status, second.body]).toEqual([201, { ...first.body, replayed: true }])
})
