import { expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { sessionStatuses } from '../support/credentials.ts'
import { withPasskey } from '../support/passkeys.ts'

const app = await startApp()

const rename = (token: string, id: string, name: unknown) =>
  app.request('PUT', `/v1/auth/passkeys/${id}`, { token, json: { name } })

test('200: the passkey has the new name, and no session ends', async () => {
  const person = await withPasskey(app, await app.signUp())
  const other = await app.login(person)
  const { status, body } = await rename(person.accessToken, person.passkeyId, 'Old phone')
  expect([status, body.id, body.name]).toEqual([200, person.passkeyId, 'Old phone'])
  const list = await app.request('GET', '/v1/auth/passkeys', { token: other.accessToken })
  expect(list.body).toEqual([body])
  expect(await sessionStatuses(app, other)).toEqual([200, 200])
})

test('404: an unknown passkey, and that of another account', async () => {
  const [person, other] = [
    await withPasskey(app, await app.signUp()),
    await withPasskey(app, await app.signUp()),
  ]
  for (const id of [other.passkeyId, 'x', '__proto__', 'constructor', '%2e%2e', 'é', '#PROFILE']) {
    const answer = await rename(person.accessToken, encodeURIComponent(id), 'Mine')
    expectError(v1.renamePasskey, answer, 'not_found')
  }
})

test('400: no name, or one that is too long', async () => {
  const person = await withPasskey(app, await app.signUp())
  for (const name of [undefined, '', 'x'.repeat(101)]) {
    const answer = await rename(person.accessToken, person.passkeyId, name)
    expectError(v1.renamePasskey, answer, 'invalid_request')
  }
})
