import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { sessionStatuses } from '../support/credentials.ts'
import { newsTo, operate, recordedOf } from '../support/operated.ts'
import { consume, newConsumer } from '../support/quota.ts'

const app = await startApp()

test('200: every session ends, what one has begun is void, keys go on; told and recorded once', async () => {
  const person = await newConsumer(app)
  const other = await app.login(person)
  const json = { email: `new-${person.email}` }
  await app.request('PUT', `/rest/users/${person.username}`, { token: other.accessToken, json })
  const code = app.mailedCode(json.email)
  expect((await operate(app, person.accountId, 'sign-out')).body).toEqual({ sessions: 2 })
  expect((await operate(app, person.accountId, 'sign-out')).body).toEqual({ sessions: 0 })
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
  expect(await sessionStatuses(app, other)).toEqual([401, 401])
  expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(400)
  expect((await consume(app, person.key, { units: 1 })).status).toBe(200)
  expect(
    (await newsTo(app, person)).filter((each) => each === 'Every session of your account has ended'),
  ).toHaveLength(1)
  const { audit } = await recordedOf(app, person)
  expect(audit).toMatchObject([{ action: 'operator.signed_out', before: { sessions: 2 } }])
})
