import { describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { cheapHash } from '../machine/import-flows.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { newPerson, type Person } from '../support/people.ts'
import { customerWithCards, LIST, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const ports = await app.ports()

const REASON = 'moving from the old system'

const send = (users: object[], more: object = {}) =>
  app.request('POST', '/ops/admin/import', { operator: 'admin', json: { reason: REASON, users, ...more } })

/** A user as the old system had it. */
const userOf = ({ email, username, password }: Person, more: object = {}) => ({
  email,
  username,
  passwordHash: cheapHash(password),
  ...more,
})

const login = (person: Person, password = person.password) =>
  app.request('POST', '/v1/auth/login', { json: { email: person.email, password } })

const profileOf = async (id: string) => (await ports.table.get(keys.profile(id))) ?? {}

const code = ({ status, body }: { status: number; body: { type?: string } }) => [
  status,
  body?.type?.split(':').at(-1),
]

test('200 makes a whole account: confirmed, with its name, age, units, customer, cards and password', async () => {
  const person = newPerson()
  const customer = await customerWithCards(app, 2)
  const more = { fullName: 'Ada Lovelace', created: '2019-05-01T08:00:00+02:00', units: 5000, customer }
  const { status, body } = await send([userOf(person, more)])
  expect([status, body.results]).toEqual([
    200,
    [{ status: 'imported', id: expect.stringMatching(/^[0-9a-f]{24}$/) }],
  ])
  const signedIn = await login(person)
  expect(signedIn.status).toBe(200)
  const token = signedIn.body.accessToken
  const user = await app.request('GET', '/api/users/current', { token })
  expect(user.body).toMatchObject({
    _id: body.results[0].id,
    email: person.email,
    name: 'Ada Lovelace',
    status: 0,
  })
  expect(await profileOf(body.results[0].id)).toMatchObject({
    emailVerified: true,
    createdAtMs: Date.parse('2019-05-01T06:00:00Z'),
  })
  const ledger = await app.request('GET', '/v1/ledger', { token })
  expect(ledger.body).toMatchObject([{ seq: 1, kind: 'import', units: 5000, amount: 0 }])
  const cards = await app.request('GET', LIST, { token })
  expect(cards.body.data).toHaveLength(2)
  const key = (await app.request('GET', '/v1/user', { token })).body.apiKey
  const spent = await app.request('POST', '/v1/usage', { token: key, json: { units: 1, requestId: 'first' } })
  expect(spent.body).toMatchObject({ left: 4999 })
})

test('200 sends no mail, unless an invitation is asked for, whose link sets a password once', async () => {
  const [quiet, invited] = [newPerson(), newPerson()]
  await send([userOf(quiet)])
  await send([{ email: invited.email, username: invited.username }], { invite: true })
  await app.job('send-mail')
  expect(app.stack.mail.messages(quiet.email)).toEqual([])
  const [mail] = app.stack.mail.messages(invited.email)
  expect(mail?.text).toContain('/invitation/')
  // Days later, too.
  app.advance(6 * 24 * 3_600_000)
  const reset = { code: app.mailedCode(invited.email), password: 'Chosen123!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json: reset })).status).toBe(204)
  expect((await login(invited, 'Chosen123!')).status).toBe(200)
  const again = await app.request('PUT', '/v1/user/resetPassword', {
    json: { ...reset, password: 'Another1!' },
  })
  expect(code(again)).toEqual([400, 'invalid_code'])
})

test('200 again has the same id, also once the owner has another address and name', async () => {
  const person = newPerson()
  const user = userOf(person, { units: 7 })
  const first = (await send([user])).body.results[0]
  expect((await send([user])).body.results).toEqual([{ status: 'imported', id: first.id, replayed: true }])
  const { accessToken: token } = (await login(person)).body
  const other = newPerson()
  await app.request('PUT', `/rest/users/${person.username}`, {
    token,
    json: { username: other.username, email: other.email },
    headers: { 'x-proof-password': person.password },
  })
  await app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(other.email) } })
  expect(await profileOf(first.id)).toMatchObject({ email: other.email, username: other.username })
  expect((await send([user])).body.results).toEqual([{ status: 'imported', id: first.id, replayed: true }])
})

test('200 refuses each user by itself, and imports the others', async () => {
  const taken = await app.signUp()
  const [imported, free, other] = [newPerson(), newPerson(), newPerson()]
  await send([userOf(imported)])
  const customer = await customerWithCards(app, 1)
  await send([userOf(newPerson(), { customer })])
  const deleted = await customerWithCards(app, 0)
  await stripeOf(app).dashboard.customers.del(deleted)
  const users = [
    userOf(imported, { units: 9 }),
    userOf(newPerson({ email: taken.email })),
    userOf(newPerson({ username: taken.username.toUpperCase() })),
    userOf(newPerson(), { customer: 'cus_unknown' }),
    userOf(newPerson(), { customer: deleted }),
    userOf(newPerson(), { customer }),
    userOf(free),
    userOf(other),
  ]
  const reasons = [
    'imported_differently',
    'email_taken',
    'username_taken',
    'customer_unknown',
    'customer_deleted',
    'customer_taken',
  ]
  const refused = reasons.map((reason) => ({ status: 'refused', reason }))
  const dry = await send(users, { dryRun: true })
  expect(dry.body.results).toEqual([...refused, { status: 'importable' }, { status: 'importable' }])
  const { body } = await send(users)
  expect(body.results.slice(0, 6)).toEqual(refused)
  expect(body.results.slice(6)).toMatchObject([{ status: 'imported' }, { status: 'imported' }])
})

test('200 to a dry run writes nothing', async () => {
  const customer = await customerWithCards(app, 1, false)
  const users = [userOf(newPerson(), { customer, units: 5 }), userOf(newPerson())]
  app.resetCalls()
  const { body } = await send(users, { dryRun: true, invite: true })
  expect(body.results).toEqual([{ status: 'importable' }, { status: 'importable' }])
  const { writeUnits, stripe } = app.calls()
  expect(writeUnits).toBe(0)
  expect(Object.keys(stripe).every((call) => call.startsWith('GET '))).toBe(true)
})

test('200 takes an address from an account that never proved it', async () => {
  const person = newPerson()
  await app.register(newPerson({ email: person.email }))
  expect((await send([userOf(person)])).body.results).toMatchObject([{ status: 'imported' }])
  expect((await login(person)).status).toBe(200)
})

test('200 chooses a default card at Stripe for a customer who has none', async () => {
  const customer = await customerWithCards(app, 2, false)
  const person = newPerson()
  const [{ id }] = (await send([userOf(person, { customer })])).body.results
  const { defaultCardId } = (await ports.table.get(keys.customer(id))) ?? {}
  const found = await stripeOf(app).dashboard.customers.retrieve(customer)
  expect(found).toMatchObject({ invoice_settings: { default_payment_method: defaultCardId } })
})

test('400 names each field of each user that is not as it must be, and imports nobody', async () => {
  const good = newPerson()
  const { status, body } = await send([
    userOf(good),
    userOf(newPerson(), { email: 'nobody' }),
    userOf(newPerson(), { units: -1 }),
    userOf(newPerson(), { passwordHash: '$2b$31$' }),
    userOf(newPerson(), { customer: 'visa' }),
    userOf(newPerson(), { created: 'long ago', password: 'x' }),
  ])
  expect(status).toBe(400)
  expect(body.errors.map(({ field }: { field: string }) => field)).toEqual([
    'users.1.email',
    'users.2.units',
    'users.3.passwordHash',
    'users.4.customer',
    'users.5.created',
    'users.5.password',
  ])
  expect((await login(good)).status).toBe(401)
})

test('503 while the table is not there, and a repeat imports each once', async () => {
  const users = [userOf(newPerson()), userOf(newPerson())]
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'TransactWriteItems', times: 8 })
  const first = await send(users)
  app.stack.dynamo.clearFaults()
  expect([200, 503]).toContain(first.status)
  const { body } = await send(users)
  expect(body.results).toMatchObject([{ replayed: true }, { replayed: true }])
})

describe('an imported password', () => {
  test('is not in the answer, a log line, the export or the audit log, and is gone after the first sign-in', async () => {
    const person = newPerson()
    const user = userOf(person)
    app.logs.length = 0
    const { body } = await send([user])
    const { id } = body.results[0]
    const [, , , , hash = ''] = user.passwordHash.split('$')
    const sealed = String((await profileOf(id)).importedPassword)
    const items = await ports.table.list(keys.account(id), '', { between: ['#', '~'] })
    const others = items.filter(({ sk }) => sk !== '#PROFILE')
    for (const text of [JSON.stringify(body), app.logs.join(), JSON.stringify(items)])
      expect(text).not.toContain(hash)
    expect(JSON.stringify(others)).not.toContain(sealed)
    await login(person)
    expect(await profileOf(id)).not.toHaveProperty('importedPassword')
    expect(app.stack.cognito.users()).toContain(id)
    expect(app.logs.join()).not.toContain(hash)
  })

  test('that is wrong costs the same calls and has the same answer as for a name that nobody has', async () => {
    const [person, unknown] = [newPerson(), newPerson()]
    await send([userOf(person)])
    const observe = async (who: Person) => {
      app.resetCalls()
      const answer = await login(who, 'Wrong123!')
      return [code(answer), answer.headers.get('retry-after'), app.calls()]
    }
    for (const advanceMs of [0, 0, 0, 0, 0, 0, 1000, 0]) {
      app.advance(advanceMs)
      expect(await observe(person)).toEqual(await observe(unknown))
    }
  })

  test('that is right is not counted as wrong, whatever happens next', async () => {
    const person = newPerson()
    await send([userOf(person)])
    app.stack.cognito.addFault({ fault: 'error-before', match: 'AdminCreateUser' })
    for (let n = 0; n < 8; n++) expect((await login(person)).status).toBe(503)
    app.stack.cognito.clearFaults()
    app.advance(31_000)
    expect((await login(person)).status).toBe(200)
  })

  test('that is shorter than passwords may be is 400 password_refused, and a reset sets another', async () => {
    const person = newPerson({ password: 'short' })
    await send([userOf(person)])
    expect(code(await login(person))).toEqual([400, 'password_refused'])
    expect(code(await login(person, 'shorter'))).toEqual([401, 'invalid_credentials'])
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    const reset = { code: app.mailedCode(person.email), password: 'Longer123!' }
    expect((await app.request('PUT', '/v1/user/resetPassword', { json: reset })).status).toBe(204)
    expect((await login(person, 'Longer123!')).status).toBe(200)
  })

  test('does not come back once a reset was made: only the new one opens the account', async () => {
    const person = newPerson()
    await send([userOf(person)])
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    const reset = { code: app.mailedCode(person.email), password: 'Changed1!' }
    expect((await app.request('PUT', '/v1/user/resetPassword', { json: reset })).status).toBe(204)
    expect((await login(person)).status).toBe(401)
    expect((await login(person, 'Changed1!')).status).toBe(200)
  })
})

test('an application key of an imported account survives a reset of the password', async () => {
  const person = newPerson()
  await send([userOf(person, { units: 10 })])
  const signedIn = await app.login(person)
  const { key } = await createKey(app, signedIn)
  await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
  await app.job('send-mail')
  const reset = { code: app.mailedCode(person.email), password: 'Changed1!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json: reset })).status).toBe(204)
  const spent = await app.request('POST', '/v1/usage', { token: key, json: { units: 1, requestId: 'later' } })
  expect(spent.status).toBe(200)
})

test('costs two reads and a transaction for each user, and two reads of Stripe more with a customer', async () => {
  await app.startAfresh()
  app.resetCalls()
  await send([userOf(newPerson(), { units: 5 }), userOf(newPerson())])
  const plain = app.calls()
  expect([plain.dynamodb, plain.stripe]).toEqual([{ GetItem: 4, TransactWriteItems: 2 }, {}])
  const customer = await customerWithCards(app, 1)
  app.resetCalls()
  const user = userOf(newPerson(), { customer })
  await send([user])
  const { dynamodb, stripe } = app.calls()
  const reads = { 'GET /v1/customers/*': 1, 'GET /v1/customers/*/payment_methods': 1 }
  expect([dynamodb, stripe]).toEqual([{ GetItem: 3, TransactWriteItems: 1 }, reads])
  app.resetCalls()
  await send([user])
  expect(app.calls().dynamodb).toEqual({ GetItem: 1 })
})
