import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { consume, newConsumer } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const balance = (token: string) => app.request('GET', '/v1/usage/balance', { token })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.balance, answer, code)

test('200: any key of the account reads the units left and used, before the first bundle too', async () => {
  const person = await newConsumer(app, 10)
  const { key, id, name } = await createKey(app, person)
  await consume(app, person.key, { units: 3 })
  const numbers = { left: 7, used: 3, reserved: 0, account: person.accountId }
  const { body } = await balance(key)
  expect(body).toEqual({ ...numbers, key: { id, name, scopes: [] } })
  expect((await balance(person.key)).body).toEqual({
    ...numbers,
    key: { id: 'default', name: 'default', scopes: [] },
  })
  const { body: user } = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect([user.bundle, user.usage]).toEqual([null, { left: 7, used: 3, reserved: 0 }])
})

test('401 and 403: a rotated key and a deactivated account are refused', async () => {
  const person = await newConsumer(app)
  const token = person.accessToken
  const { key } = await createKey(app, person)
  await app.request('POST', '/v1/keys/default/rotate', { token })
  refused(await balance(person.key), 'unauthorized')
  await app.request('PUT', '/api/users/current/deactivate', { token })
  refused(await balance(key), 'account_deactivated')
})
