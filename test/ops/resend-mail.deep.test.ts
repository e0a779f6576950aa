import { beforeEach, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { mailsTo } from '../support/buyers.ts'
import { newsTo, operate, recordedOf } from '../support/operated.ts'
import { newPerson } from '../support/people.ts'
import { accountIdOf } from '../support/state.ts'

const app = await startApp()
const ports = await app.ports()
beforeEach(app.startAfresh)

test('200: the confirmation of an address that was marked as undeliverable is mailed again, and works', async () => {
  const person = newPerson()
  await app.register(person)
  const accountId = await accountIdOf(app, person.username)
  const undeliverable = { [person.email]: { reason: 'complained', atMs: Date.now() } }
  await ports.table.update(keys.profile(accountId), expr`SET #undeliverable = ${undeliverable}`)
  const { status, body } = await operate(app, accountId, 'resend')
  expect([status, body]).toEqual([200, { mails: ['confirm-email'], cleared: true }])
  const confirm = 'Confirm your e-mail address'
  expect(await mailsTo(app, { ...person, accountId, accessToken: '', refreshToken: '' })).toEqual([
    confirm,
    confirm,
  ])
  const json = { code: app.mailedCode(person.email) }
  expect((await app.request('POST', '/v1/auth/activate', { json })).status).toBe(200)
  expect((await readAccount(ports, accountId))?.undeliverable).toBeUndefined()
  expect((await recordedOf(app, { accountId })).audit).toMatchObject([
    { action: 'operator.mail_resent', before: { undeliverable: true } },
  ])
})

test('200: the code for a new address is mailed again, also after its look-up has ended', async () => {
  const person = await app.signUp()
  const { email } = newPerson()
  await operate(app, person.accountId, 'change-email', { email, proof: 'A passport' })
  await app.job('send-mail')
  await ports.table.remove(keys.addressChange(email, person.accountId))
  expect((await operate(app, person.accountId, 'resend')).body).toEqual({
    mails: ['confirm-email'],
    cleared: false,
  })
  await app.job('send-mail')
  expect(app.stack.mail.messages(email)).toHaveLength(2)
})

test('200: an account that waits for nothing gets nothing', async () => {
  const person = await app.signUp()
  expect((await operate(app, person.accountId, 'resend')).body).toEqual({ mails: [], cleared: false })
  expect(await newsTo(app, person)).toEqual([])
})
