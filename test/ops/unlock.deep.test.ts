import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { appCode, withTwoFactor, wrongAppCode } from '../support/credentials.ts'
import { operate, recordedOf } from '../support/operated.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const login = (json: object) => app.request('POST', '/v1/auth/login', { json })

test('204: after wrong passwords and codes, by whichever name, the right ones work at once', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const { email, username, password, seed, accountId } = person
  for (let n = 0; n < 5; n++) await login({ email, password, twofa: wrongAppCode(seed, n) })
  expect((await login({ email, password, twofa: appCode(seed) })).status).toBe(429)
  for (let n = 0; n < 4; n++) await login({ username, password: 'Wrong123!' })
  expect((await operate(app, accountId, 'unlock')).status).toBe(204)
  expect((await login({ username, password, twofa: appCode(seed) })).status).toBe(200)
  expect((await recordedOf(app, person)).audit).toMatchObject([{ action: 'operator.unlocked' }])
})

test('204: a mailbox that has had its mails of the hour gets the next one', async () => {
  const person = await app.signUp()
  const ask = async () => {
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    return app.stack.mail.messages(person.email).length
  }
  for (let n = 0; n < 7; n++) await ask()
  const before = await ask()
  expect(before).toBe(6)
  await operate(app, person.accountId, 'unlock')
  expect(await ask()).toBe(7)
})
