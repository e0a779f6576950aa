import { expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { resetCode, withTwoFactor } from '../support/credentials.ts'
import { newPerson, type Person } from '../support/people.ts'

const app = await startApp()

const on = (system: string, browser: string) => `Mozilla/5.0 (${system}) Gecko/20100101 ${browser}`
const LAPTOP = on('Windows NT 10.0; Win64; x64', 'Firefox/142.0')
const LAPTOP_UPDATED = on('Windows NT 11.0; Win64; x64', 'Firefox/150.2')
const PHONE = on('Linux; Android 15', 'Chrome/140.0 Mobile Safari/537.36')

async function login({ email, password }: Person, userAgent: string | undefined) {
  const headers: Record<string, string> = userAgent === undefined ? {} : { 'user-agent': userAgent }
  const answer = await app.request('POST', '/v1/auth/login', { json: { email, password }, headers })
  return answer.status
}

/** A person who has confirmed the address and not signed in yet. */
async function newcomer(): Promise<Person> {
  const person = newPerson()
  await app.register(person)
  await app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(person.email) } })
  return person
}

/** What the owner was told: mails about a new device, and notices. */
async function told({ email }: Person): Promise<[mails: number, notices: number]> {
  await app.job('send-mail')
  const { table } = await app.ports()
  const guard = await table.get(keys.emailGuard(email))
  const notices = await table.list(keys.account(String(guard?.accountId)), 'NOTICE#')
  const mails = app.stack.mail.messages(email).filter(({ subject }) => subject.includes('new device'))
  return [mails.length, notices.filter(({ messageType }) => messageType === 'new-sign-in').length]
}

test('a sign-in from a device that the account has not used is told once, and the first sign-in is not', async () => {
  const person = await newcomer()
  expect([await login(person, LAPTOP), await told(person)]).toEqual([200, [0, 0]])
  expect([await login(person, LAPTOP_UPDATED), await told(person)]).toEqual([200, [0, 0]])
  expect([await login(person, PHONE), await told(person)]).toEqual([200, [1, 1]])
  expect([await login(person, PHONE), await told(person)]).toEqual([200, [1, 1]])
  expect([await login(person, undefined), await told(person)]).toEqual([200, [2, 2]])
  expect([await login(person, 'something else'), await told(person)]).toEqual([200, [2, 2]])
})

test('sign-ins at once from new devices all succeed, and each device is told once', async () => {
  const person = await newcomer()
  await login(person, LAPTOP)
  const devices = [PHONE, PHONE, 'curl/8.1', 'python-requests/2', PHONE]
  const statuses = await Promise.all(devices.map((each) => login(person, each)))
  expect(statuses).toEqual([200, 200, 200, 200, 200])
  expect(await told(person)).toEqual([3, 3])
})

test('a wrong password or code from a new device tells nothing', async () => {
  const person = await newcomer()
  await login(person, LAPTOP)
  expect(await login({ ...person, password: 'Wrong123!' }, PHONE)).toBe(401)
  const guarded = await withTwoFactor(app, await app.signUp())
  expect(await login(guarded, PHONE)).toBe(401)
  expect([await told(person), await told(guarded)]).toEqual([
    [0, 0],
    [0, 0],
  ])
})

test('after a reset the first sign-in is not told, and a thief’s device is new again', async () => {
  const person = await newcomer()
  await login(person, LAPTOP)
  await login(person, PHONE)
  expect(await told(person)).toEqual([1, 1])
  const json = { code: await resetCode(app, person.email), password: 'Another1!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(204)
  const again = { ...person, password: 'Another1!' }
  expect([await login(again, LAPTOP), await told(again)]).toEqual([200, [1, 1]])
  expect([await login(again, PHONE), await told(again)]).toEqual([200, [2, 2]])
})
