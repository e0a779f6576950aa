import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { add, answerOf, newPasskey, signInWith, withPasskey } from '../support/passkeys.ts'

const app = await startApp()

test('200: none, then all of them, oldest first, with the time of their last use', async () => {
  const person = await app.signUp()
  const token = person.accessToken
  const list = async () => (await app.request('GET', '/v1/auth/passkeys', { token })).body
  expect(await list()).toEqual([])
  const first = await withPasskey(app, person)
  app.advance(1000)
  await add(app, person, await newPasskey(app, person), 'Phone')
  app.advance(1000)
  await signInWith(app, await answerOf(app, first))
  expect(await list()).toEqual([
    {
      id: first.passkeyId,
      name: 'Laptop',
      credentialId: first.authenticator.passkeys[0]?.id,
      synced: true,
      createdAt: '2026-11-21T12:00:00.000Z',
      lastUsedAt: '2026-11-21T12:00:02.000Z',
    },
    expect.objectContaining({ name: 'Phone', createdAt: '2026-11-21T12:00:01.000Z', lastUsedAt: null }),
  ])
})
