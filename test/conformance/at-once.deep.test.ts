import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { appCode } from '../support/credentials.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'

/** Two of the same request at once, or one after the other: what a person was shown first must still work. */

const app = await startApp()
const MINUTE_MS = 60_000

const begin = async ({ accessToken: token }: Pick<SignedInPerson, 'accessToken'>) =>
  (await app.request('POST', '/v1/auth/2FA', { token })).body

const verify = async ({ accessToken: token }: Pick<SignedInPerson, 'accessToken'>, code: string) =>
  (await app.request('POST', '/v1/auth/verify2FA', { token, json: { code } })).status

test('enrolments at once, and a second click, show one QR code, which works', async () => {
  const person = await app.signUp()
  const shown = await Promise.all(Array.from({ length: 5 }, () => begin(person)))
  app.advance(9 * MINUTE_MS)
  shown.push(await begin(person))
  for (const each of shown) expect(each).toEqual(shown[0])
  expect(await verify(person, appCode(shown[0].seed))).toBe(200)
})

test('an enrolment in another session neither shows the seed nor spoils it', async () => {
  const owner = await app.signUp()
  const stranger = await app.login(owner)
  const [first, theirs, second] = [await begin(owner), await begin(stranger), await begin(owner)]
  expect(theirs.seed).not.toBe(first.seed)
  expect(second.seed).toBe(first.seed)
  expect(await verify(owner, appCode(first.seed))).toBe(200)
})

test('a QR code still works after another sign-in', async () => {
  const person = await app.signUp()
  const { seed } = await begin(person)
  const later = await app.login(person)
  expect(await verify(later, appCode(seed))).toBe(200)
})

test('an enrolment that is an hour old begins anew', async () => {
  const person = await app.signUp()
  const { seed } = await begin(person)
  app.advance(60 * MINUTE_MS)
  const later = await app.login(person)
  expect((await begin(later)).seed).not.toBe(seed)
})

test.each(['default', 'further'])(
  'rotations of a %s key at once show one key, which works',
  async (which) => {
    const person = await app.signUp()
    const { accessToken: token } = person
    const made =
      which === 'further' && (await app.request('POST', '/v1/keys', { token, json: { name: 'k' } }))
    const id = made ? made.body.id : 'default'
    const rotate = () => app.request('POST', `/v1/keys/${id}/rotate`, { token })
    const both = await Promise.all([rotate(), rotate(), rotate()])
    expect(both.map(({ status }) => status)).toEqual([200, 200, 200])
    const works = async (key: string) =>
      (await app.request('POST', '/v1/usage', { token: key, json: { units: 1 } })).status
    for (const { body } of both) expect([body.key, await works(body.key)]).toEqual([both[0]?.body.key, 200])
    // A rotation that begins later makes another key.
    const later = (await rotate()).body.key
    expect(later).not.toBe(both[0]?.body.key)
    expect([await works(later), await works(both[0]?.body.key)]).toEqual([200, 401])
  },
)

test('a reset code still works when it was asked for again meanwhile, and lives as long as the newest mail says', async () => {
  const { email } = await app.signUp()
  const ask = async () => {
    await app.request('POST', '/v1/user/resetPassword', { json: { email } })
    await app.job('send-mail')
    return app.mailedCode(email)
  }
  const first = await ask()
  app.advance(4 * MINUTE_MS)
  expect(await ask()).toBe(first)
  app.advance(9 * MINUTE_MS)
  const json = { code: first, password: 'Changed1!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(204)
  // A code that was used is not mailed again.
  expect(await ask()).not.toBe(first)
})

test('a confirmation code still works when it was asked for again meanwhile', async () => {
  const person = newPerson()
  await app.register(person)
  const first = app.mailedCode(person.email)
  await app.request('POST', '/v1/auth/resend', { json: { email: person.email } })
  await app.job('send-mail')
  expect(app.stack.mail.messages(person.email)).toHaveLength(2)
  expect(app.mailedCode(person.email)).toBe(first)
  expect((await app.request('POST', '/v1/auth/activate', { json: { code: first } })).status).toBe(200)
})

test('the code of a change of address still works when the same change was asked for again', async () => {
  const person = await app.signUp()
  const { email } = newPerson()
  const change = () =>
    app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json: { email } })
  await change()
  const first = app.mailedCode(email)
  app.advance(2 * MINUTE_MS)
  await change()
  expect(app.stack.mail.messages(email)).toHaveLength(2)
  expect((await app.request('POST', '/v1/auth/activate', { json: { code: first } })).status).toBe(200)
})
