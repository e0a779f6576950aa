import { describe, expect, test } from 'vitest'
import { emailKey, usernameKey } from '../../core/account/fields.ts'
import { auditWrites } from '../../core/audit/entry.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { DAY_MS, HOUR_MS } from '../../core/time.ts'
import { handler as noteMailEvent } from '../../functions/jobs/note-mail-event.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  ALWAYS_3DS,
  buy,
  expectBooksAgree,
  newBuyer,
  paymentsOf,
  refund,
  shown,
  spendTo,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import { appCode, sessionStatuses, withTwoFactor } from '../support/credentials.ts'
import { kindsOf, richPerson, tracesLeft, wholeTable } from '../support/erasure.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume } from '../support/quota.ts'
import { reserve, settle } from '../support/reservations.ts'
import type { TestAnswer } from '../support/send.ts'
import { cardOnFile, customerId, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)
const LONG_MS = 30 * DAY_MS

const deleteUser = ({ accessToken: token }: SignedInPerson, json?: object) =>
  app.request('DELETE', '/v1/user', { token, ...(json && { json }) })
const forfeit = (person: SignedInPerson) => deleteUser(person, { units: 'forfeit' })
const signIn = ({ email, password }: SignedInPerson, twofa?: string) =>
  app.request('POST', '/v1/auth/login', { json: { email, password, ...(twofa && { twofa }) } })
const restore = ({ email, password }: SignedInPerson) =>
  app.request('POST', '/api/users/restore', { json: { email, password } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.deleteUser, answer, code)
const profileOf = async ({ accountId }: { accountId: string }) =>
  (await (await app.ports()).table.get(keys.profile(accountId))) ?? {}

/** Mails by their subjects, after the job has sent what waits. */
async function mailed({ email }: { email: string }): Promise<string[]> {
  await app.job('send-mail')
  return app.stack.mail.messages(email).map(({ subject }) => subject)
}

/** Runs the sweep on the day on which the person is erased, and the last look an hour later. */
async function erase(): Promise<void> {
  app.advance(LONG_MS)
  expect(await app.job('sweep')).toMatchObject({ erasuresFailed: 0 })
  app.advance(HOUR_MS)
  expect(await app.job('sweep')).toMatchObject({ erasuresFailed: 0 })
}

describe('202', () => {
  test('says when the data is erased, and ends every session at once', async () => {
    const person = await app.signUp()
    const { status, body } = await deleteUser(person)
    expect([status, body]).toEqual([202, { status: 'deleted', eraseAt: '2026-12-21T12:00:00.000Z' }])
    expect(await sessionStatuses(app, person)).toEqual([403, 403])
  })

  test('refuses the application keys and switches auto-renewal off', async () => {
    const person = await newBuyer(app)
    expect((await forfeit(person)).status).toBe(202)
    expect((await consume(app, person.key, { units: 1 })).status).toBe(403)
    expect((await profileOf(person)).flags).toMatchObject({ bundleAutoRenewal: false })
  })

  test('tells the owner by one mail and one notice', async () => {
    const person = await app.signUp()
    await deleteUser(person)
    expect((await mailed(person)).slice(-1)).toEqual(['Your account will be deleted'])
    app.advance(1000)
    const again = (await signIn(person)).body
    const notices = await shown(app, { ...person, ...again }, '/api/users/current/notifications')
    const types = notices.map(({ messageType }: { messageType: string }) => messageType)
    expect(types.filter((type: string) => type.startsWith('deletion'))).toEqual([
      'deletion-undone',
      'deletion-begun',
    ])
  })

  test('repeated and concurrent requests are answered alike, and tell the owner once', async () => {
    const person = await app.signUp()
    const answers = await Promise.all(Array.from({ length: 5 }, () => deleteUser(person)))
    for (const { status, body } of [...answers, await deleteUser(person)])
      expect([status, body.eraseAt]).toEqual([202, '2026-12-21T12:00:00.000Z'])
    expect((await mailed(person)).filter((subject) => subject.includes('deleted'))).toHaveLength(1)
  })

  test('cancels a purchase that waits for 3-D Secure', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    const { id } = await waitingPayment(app, person)
    expect((await forfeit(person)).status).toBe(202)
    expect(double.state.paymentIntents[id]?.status).toBe('canceled')
  })

  test('a payment whose outcome is unknown settles, and its units are there after the deletion is undone', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'torn-body', match: 'POST /v1/payment_intents/*/confirm' })
    expect((await buy(app, person)).status).toBe(202)
    double.clearFaults()
    expect((await forfeit(person)).status).toBe(202)
    app.advance(60_000)
    expect(await app.job('settle-payments')).toMatchObject({ credited: 1, failed: 0 })
    const again = { ...person, ...(await signIn(person)).body }
    expect(await unitsLeft(app, again)).toBe(2100)
    await expectBooksAgree(app, again)
  })
})

describe('409', () => {
  test('units that were paid for are lost only if the owner agrees; those of the trial without a word', async () => {
    const buyer = await newBuyer(app)
    refused(await deleteUser(buyer), 'units_left')
    refused(await deleteUser(buyer, {}), 'units_left')
    expect(await sessionStatuses(app, buyer)).toEqual([200, 200])
    await spendTo(app, buyer, 1)
    // A reserved unit may come back.
    const { body } = await reserve(app, buyer.key, { units: 1 })
    refused(await deleteUser(buyer), 'units_left')
    await settle(app, buyer.key, body.id, { units: 1 })
    expect((await deleteUser(buyer)).status).toBe(202)
  })

  test('a debt is settled first, whatever the owner agrees to', async () => {
    const buyer = await newBuyer(app)
    await spendTo(app, buyer, 0)
    const [payment] = await paymentsOf(app, buyer)
    await refund(app, payment!)
    await double.flushWebhooks()
    refused(await forfeit(buyer), 'balance_owed')
    expect((await profileOf(buyer)).status).toBe('active')
  })
})

test('403: an account that is only deactivated is not deleted by a repeat', async () => {
  const person = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
  refused(await deleteUser(person), 'account_deactivated')
})

test('503: while the database is down nothing is deleted', async () => {
  const person = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  refused(await deleteUser(person), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
})

describe('within 30 days', () => {
  test('a sign-in undoes the deletion, with everything as it was', async () => {
    const person = await newBuyer(app)
    await forfeit(person)
    app.advance(LONG_MS - 1000)
    await app.job('sweep')
    const { status, body } = await signIn(person)
    expect(status).toBe(200)
    const again = { ...person, ...body }
    expect(await unitsLeft(app, again)).toBe(1100)
    expect((await consume(app, person.key, { units: 1 })).status).toBe(200)
    expect(await mailed(person)).toContain('Your account will not be deleted')
    expect(await profileOf(person)).not.toHaveProperty('eraseAtMs')
    app.advance(2 * DAY_MS)
    await app.job('sweep')
    expect(await profileOf(person)).toMatchObject({ status: 'active', username: person.username })
  })

  test('a restore undoes it too, and tells the owner once however often it is sent', async () => {
    const person = await app.signUp()
    await deleteUser(person)
    for (const { status } of await Promise.all([restore(person), restore(person), restore(person)]))
      expect(status).toBe(200)
    expect(await profileOf(person)).not.toHaveProperty('eraseAtMs')
    const subjects = await mailed(person)
    expect(subjects.filter((subject) => subject === 'Your account will not be deleted')).toHaveLength(1)
  })

  test('a wrong password, or two factors without a code, undoes nothing', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    const code = appCode(person.seed)
    await deleteUser(person)
    expect((await signIn({ ...person, password: 'Wrong123!' })).status).toBe(401)
    expect((await signIn(person)).status).toBe(401)
    expect(await profileOf(person)).toHaveProperty('eraseAtMs')
    expect((await signIn(person, code)).status).toBe(200)
    expect(await profileOf(person)).not.toHaveProperty('eraseAtMs')
  })

  test('of copies of one sign-in with a code at once, one begins a session, and the owner is told once', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    const code = appCode(person.seed)
    await deleteUser(person)
    const copies = await Promise.all([1, 2, 3].map(() => signIn(person, code)))
    expect(copies.map(({ status }) => status).sort()).toEqual([200, 401, 401])
    expect(Object.keys((await profileOf(person)).sessions as object)).toHaveLength(1)
    const subjects = await mailed(person)
    expect(subjects.filter((subject) => subject === 'Your account will not be deleted')).toHaveLength(1)
  })

  test('a change of the name that Stripe had not followed is sent after the deletion is undone', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const customer = (await customerId(app, person))!
    const json = { name: 'Renamed Person' }
    await app.request('PUT', '/api/users/current', { token: person.accessToken, json })
    await deleteUser(person)
    await signIn(person)
    await app.job('sweep')
    expect(double.state.customers[customer]).toMatchObject({ name: 'Renamed Person' })
  })
})

describe('after 30 days', () => {
  test('nothing of the person is left, in the table, in the vault or at Stripe’s customer', async () => {
    // Other people of this file have the same card and the same billing address.
    await app.startAfresh()
    const { person, traces } = await richPerson(app)
    const customer = (await customerId(app, person))!
    expect((await tracesLeft(app, traces)).length).toBeGreaterThanOrEqual(Object.keys(traces).length)
    expect((await forfeit(person)).status).toBe(202)
    app.advance(LONG_MS)
    expect(await app.job('sweep')).toMatchObject({ accountsErased: 1, erasuresFailed: 0, alarms: [] })
    expect(await mailed(person)).toContain('Your account is deleted')
    const lookUps = (await wholeTable(app)).filter(
      ({ pk, accountId }) => accountId === person.accountId && !String(pk).startsWith('ACCOUNT#'),
    )
    expect(lookUps.filter(({ pk }) => !String(pk).startsWith('PAYMENT#'))).toEqual([])
    await double.flushWebhooks()
    expect(await tracesLeft(app, traces)).toEqual([])
    expect(await kindsOf(app, person.accountId)).toEqual([
      '#PROFILE',
      '#QUOTA',
      'AUDIT#',
      'INVOICE#',
      'LEDGER#',
      'OUTEVENT#',
      'PURCHASE#',
    ])
    expect(double.state.customers[customer]).toEqual({ id: customer, object: 'customer', deleted: true })
    expect(app.stack.cognito.users()).not.toContain(person.accountId)
    app.advance(HOUR_MS)
    expect(await app.job('sweep')).toMatchObject({ erasuresFailed: 0, alarms: [] })
    expect(await profileOf(person)).not.toHaveProperty('due')
    expect(await tracesLeft(app, traces)).toEqual([])
  })

  test('the last mail is sent once, and is the last', async () => {
    const person = await app.signUp()
    await deleteUser(person)
    await erase()
    const subjects = await mailed(person)
    expect(subjects.at(-1)).toBe('Your account is deleted')
    expect(await mailed(person)).toEqual(subjects)
  })

  test.each(['bounce', 'complaint'])('no last mail goes to an address after a %s', async (what) => {
    const person = await app.signUp()
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    expect((await noteMailEvent(app.stack.mail.report(person.email, what))).mail).toBe('marked')
    await deleteUser(person)
    await erase()
    expect(await kindsOf(app, person.accountId)).not.toContain('MAIL#')
    expect(await mailed(person)).not.toContain('Your account is deleted')
  })

  test('the last mail waits for the mail service, and the last look leaves it there', async () => {
    const person = await app.signUp()
    await deleteUser(person)
    await erase()
    expect(await kindsOf(app, person.accountId)).toContain('MAIL#')
    expect(await mailed(person)).toContain('Your account is deleted')
    expect(await kindsOf(app, person.accountId)).not.toContain('MAIL#')
  })

  test('tokens, keys, sign-in, restore and reset are answered as if the account had never been there', async () => {
    const person = await newBuyer(app)
    await forfeit(person)
    await erase()
    expect((await signIn(person)).status).toBe(401)
    expect((await restore(person)).status).toBe(401)
    expect((await consume(app, person.key, { units: 1 })).status).toBe(401)
    const refresh = { json: { refreshToken: person.refreshToken } }
    expect((await app.request('POST', '/v1/auth/refresh', refresh)).status).toBe(401)
    const sent = (await mailed(person)).length
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    expect(await mailed(person)).toHaveLength(sent)
  })

  test('the same address and username register anew, and get no second trial', async () => {
    const person = await app.signUp()
    const { username, email, password } = person
    await deleteUser(person)
    expect((await app.register({ username, email, password })).status).toBe(409)
    await erase()
    const { table } = await app.ports()
    for (const guard of [
      keys.emailGuard(emailKey(person.email)),
      keys.usernameGuard(usernameKey(person.username)),
    ])
      expect(await table.get(guard)).toBeUndefined()
    const again = await app.signUpOverHttp({ username, email, password })
    expect(again.accountId).not.toBe(person.accountId)
    expect(await shown(app, again, '/v1/ledger')).toMatchObject([{ kind: 'trial', units: 0 }])
  })

  test('the audit log says what was done and when, and no longer from where or from what to what', async () => {
    const person = await app.signUp()
    const { table } = await app.ports()
    const audited = (pk: string) => table.list(pk, 'AUDIT#')
    const ports = {
      ...(await app.ports()),
      origin: { by: 'operator', name: 'ada', ip: '192.0.2.7' } as const,
    }
    const facts = { reason: 'asked by mail from ann@mail.example', before: { email: person.email } }
    const writes = auditWrites(ports, { accountId: person.accountId, action: 'operator.added', ...facts })
    await table.transact(writes)
    const before = await audited(keys.account(person.accountId))
    await deleteUser(person)
    app.advance(31 * DAY_MS)
    await app.job('sweep')
    const after = await audited(keys.account(person.accountId))
    const pseudonymised = ({ before: _, after: __, reason, ip, ...kept }: Item) => kept
    expect(before.length).toBeGreaterThan(2)
    expect(after).toEqual(expect.arrayContaining(before.map(pseudonymised)))
    expect(after.filter(({ before, after, reason, ip }) => before ?? after ?? reason ?? ip)).toEqual([])
    const [copy] = (await audited('OPERATOR#ada')).filter(({ accountId }) => accountId === person.accountId)
    expect(copy).toEqual(pseudonymised(copy ?? {}))
    expect(copy).toMatchObject({ action: 'operator.added', by: 'operator', name: 'ada' })
  })

  test('the books stay, and a refund that comes late is booked, without a message, an alarm or personal data', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 300)
    const [payment] = await paymentsOf(app, person)
    await forfeit(person)
    app.advance(LONG_MS)
    await app.job('sweep')
    await mailed(person)
    await refund(app, payment!)
    await double.flushWebhooks()
    const { table } = await app.ports()
    const entries = await table.list(keys.account(person.accountId), 'LEDGER#')
    expect(entries.map(({ kind }) => kind)).toContain('refund')
    const sum = (name: string) => entries.reduce((total, entry) => total + Number(entry[name]), 0)
    const { balanceCents } = await profileOf(person)
    const counter = (await table.get(keys.quota(person.accountId))) ?? {}
    expect(sum('amountCents')).toBe(balanceCents)
    expect(sum('units')).toBe(Number(counter.l) + Number(counter.f) + Number(counter.u))
    expect(await kindsOf(app, person.accountId)).toEqual([
      '#PROFILE',
      '#QUOTA',
      'AUDIT#',
      'INVOICE#',
      'LEDGER#',
      'OUTEVENT#',
      'PURCHASE#',
    ])
    app.advance(HOUR_MS)
    for (const job of ['check-quotas', 'settle-payments']) await app.job(job)
    expect(await app.job('sweep')).toMatchObject({ alarms: [], erasuresFailed: 0, recordsFailed: 0 })
    const sent = (await mailed(person)).length
    expect(await mailed(person)).toHaveLength(sent)
  })

  test('another system’s notice finds no account', async () => {
    const person = await app.signUp()
    await deleteUser(person)
    await erase()
    const { addNotice } = await import('../../core/notifications/notices.ts')
    const detail = { accountId: person.accountId, messageType: 'x', message: 'y' }
    expect(await addNotice(await app.ports(), { id: 'late', detail })).toBe('no such account')
  })

  test('an account that is suspended meanwhile waits for the operator', async () => {
    const person = await app.signUp()
    await deleteUser(person)
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #status = ${'suspended'}`)
    await erase()
    expect(await profileOf(person)).toMatchObject({ status: 'suspended', username: person.username })
    expect((await signIn(person)).status).toBe(403)
  })
})
