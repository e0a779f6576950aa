import { beforeEach, describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import type { EventTypeName } from '../../core/events/catalogue.ts'
import { NO_ACCOUNT } from '../../core/events/stored-event.ts'
import { listOperators } from '../../core/operators/accounts.ts'
import { reappliedTypes } from '../../core/operators/reapply.ts'
import { keys, outEventKey } from '../../core/table/keys.ts'
import { handler } from '../../functions/jobs/reapply.ts'
import { subscribers } from '../../functions/jobs/schedule.ts'
import { startApp } from '../support/app.ts'
import { asFunction } from '../support/aws-calls.ts'
import { makeOperator } from '../support/console.ts'
import { withTwoFactor } from '../support/credentials.ts'
import { createKey, defaultKey } from '../support/keys.ts'
import { operate } from '../support/operate.ts'
import { withPasskey } from '../support/passkeys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume, newConsumer } from '../support/quota.ts'
import { newService, spendAs } from '../support/services.ts'

const app = await startApp()
beforeEach(app.startAfresh)

let made = 0

/** An event of an account as EventBridge replays it. */
function replayed(accountId: string, type: EventTypeName, data: object, atMs = Date.now()) {
  const id = `0193c0ff-ee00-8000-8000-${String(++made).padStart(12, '0')}`
  const detail = { id, type, version: 1, sequence: made, accountId, atMs, data }
  return { id: `bus-${id}`, source: 'bursar', 'detail-type': type, 'replay-name': 'restore', detail }
}

const reapply = async (event: object) =>
  (await asFunction('functions/jobs/reapply.ts', () => handler(event))).event
const stored = async ({ accountId }: SignedInPerson) => readAccount(await app.ports(), accountId)
const spend = async (key: string) => (await consume(app, key, { units: 1 })).status

test('its rule gets every type of event that it applies', () => {
  expect([...subscribers.reapply.detailTypes].sort()).toEqual([...reappliedTypes].sort())
})

describe('an event', () => {
  test('that comes again changes nothing more: its keys are replaced once', async () => {
    const person = await newConsumer(app)
    const event = replayed(person.accountId, 'key.rotated', { keyId: 'default' })
    const outcomes = await Promise.all([reapply(event), reapply(event), reapply(event)])
    expect(outcomes).toContain('applied')
    expect(await reapply(event)).toBe('known')
    expect(await spend(person.key)).toBe(401)
    const { keyRotations, nextKeySlot } = (await stored(person)) ?? {}
    expect([keyRotations, nextKeySlot]).toEqual([undefined, 2])
  })

  test('whose change the table has is not applied again', async () => {
    const person = await newConsumer(app)
    const { id } = await createKey(app, person)
    await app.request('DELETE', `/v1/keys/${id}`, { token: person.accessToken })
    await operate(app, person, 'suspend', {})
    await operate(app, person, 'resume', {})
    const { table } = await app.ports()
    const items = await table.list(keys.account(person.accountId), 'OUTEVENT#')
    const suspended = items.find(({ type }) => type === 'account.suspended')
    const event = replayed(person.accountId, 'account.suspended', { from: 'active' }, Number(suspended?.atMs))
    expect(await reapply({ ...event, detail: { ...event.detail, id: suspended?.id } })).toBe('known')
    expect((await stored(person))?.status).toBe('active')
  })

  test('that is not of a replay, of ours, or of a known form changes nothing', async () => {
    const person = await app.signUp()
    const event = replayed(person.accountId, 'account.suspended', { from: 'active' })
    const { 'replay-name': _, ...live } = event
    expect(await reapply(live)).toBe('malformed')
    expect(await reapply({ ...event, source: 'other' })).toBe('malformed')
    expect(await reapply({ ...event, detail: { ...event.detail, data: {} } })).toBe('malformed')
    expect(await reapply(replayed(person.accountId, 'purchase.credited', {}))).toBe('no change')
    expect(await reapply(replayed('f'.repeat(24), 'account.suspended', { from: 'active' }))).toBe('gone')
    expect((await stored(person))?.status).toBe('active')
  })
})

test.each(['in order', 'the other way round'])(
  'of a suspension and its end the later one counts, also %s',
  async (order) => {
    const person = await app.signUp()
    const events = [
      replayed(person.accountId, 'account.suspended', { from: 'active' }, Date.now() - 2_000),
      replayed(person.accountId, 'account.resumed', { status: 'active' }, Date.now() - 1_000),
    ]
    for (const event of order === 'in order' ? events : events.reverse()) await reapply(event)
    expect((await stored(person))?.status).toBe('active')
  },
)

test('a later suspension is not undone by an earlier restoration', async () => {
  const person = await app.signUp()
  await reapply(replayed(person.accountId, 'account.suspended', { from: 'active' }, Date.now() - 1_000))
  const restored = replayed(
    person.accountId,
    'account.restored',
    { undoesDeletion: false },
    Date.now() - 2_000,
  )
  expect(await reapply(restored)).toBe('outdated')
  expect((await stored(person))?.status).toBe('suspended')
})

test('keys are revoked, switched off and replaced, whatever the status of their account', async () => {
  const person = await newConsumer(app)
  const [revoked, off, rotated] = [
    await createKey(app, person),
    await createKey(app, person),
    await createKey(app, person),
  ]
  await operate(app, person, 'suspend', {})
  const { accountId } = person
  const of = (type: EventTypeName, data: object) => reapply(replayed(accountId, type, data))
  expect(await of('key.revoked', { keyId: revoked.id })).toBe('applied')
  expect(await of('key.changed', { keyId: off.id, disabled: true })).toBe('applied')
  expect(await of('key.rotated', { keyId: rotated.id })).toBe('applied')
  expect(await of('key.rotated', { keyId: 'default' })).toBe('applied')
  await operate(app, person, 'resume', {})
  const all = [revoked.key, off.key, rotated.key, person.key]
  expect(await Promise.all(all.map(spend))).toEqual([401, 403, 401, 401])
  expect(await spend(await defaultKey(app, person))).toBe(200)
})

test('a key that was rotated again since the restore keeps its text', async () => {
  const person = await newConsumer(app)
  const event = replayed(person.accountId, 'key.rotated', { keyId: 'default' })
  app.advance(1_000)
  await app.request('POST', '/v1/keys/default/rotate', { token: person.accessToken, json: {} })
  const key = await defaultKey(app, person)
  expect(await reapply(event)).toBe('applied')
  expect(await spend(key)).toBe(200)
})

test('a deleted account is erased when it would have been', async () => {
  const person = await app.signUp()
  const eraseAtMs = Date.now() + 86_400_000
  expect(await reapply(replayed(person.accountId, 'account.closing', { eraseAtMs }))).toBe('applied')
  expect(await stored(person)).toMatchObject({ status: 'deactivated', eraseAtMs })
})

test('no mail goes to the address from before its change, until the owner sets one again', async () => {
  const person = await app.signUp()
  app.stack.mail.clear()
  expect(await reapply(replayed(person.accountId, 'account.email_changed', {}))).toBe('applied')
  await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
  await app.job('send-mail')
  expect(app.stack.mail.messages(person.email)).toEqual([])
  app.advance(2 * 86_400_000)
  await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
  await app.job('send-mail')
  expect(app.stack.mail.messages(person.email)).toEqual([])
})

describe('access', () => {
  const changed = (person: SignedInPerson, data: object, atMs?: number) =>
    reapply(replayed(person.accountId, 'account.access_changed', data, atMs))
  const login = async ({ email, password }: SignedInPerson) =>
    (await app.request('POST', '/v1/auth/login', { json: { email, password } })).status

  test('two-factor authentication switched on: the password alone lets nobody in', async () => {
    const person = await app.signUp()
    expect(await changed(person, { what: 'two-factor-on' })).toBe('applied')
    expect(await login(person)).toBe(401)
  })

  test('switched off later: the password stays', async () => {
    const person = await app.signUp()
    await changed(person, { what: 'two-factor-off' }, Date.now() - 1_000)
    expect(await changed(person, { what: 'two-factor-on' }, Date.now() - 2_000)).toBe('outdated')
    expect(await login(person)).toBe(200)
  })

  test('of an account that has it in the backup, nothing changes', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    expect(await changed(person, { what: 'two-factor-on' })).toBe('applied')
    expect((await stored(person))?.totp).toBeDefined()
  })

  test('a removed passkey is removed, and no other one', async () => {
    const person = await withPasskey(app, await app.signUp())
    const before = Object.keys((await stored(person))?.passkeys ?? {})
    const [passkeyId] = before
    expect(await changed(person, { what: 'passkey-removed', passkeyId })).toBe('applied')
    expect(Object.keys((await stored(person))?.passkeys ?? {})).toEqual(before.slice(1))
  })
})

describe('what operators revoke', () => {
  const revoked = (what: string, id: string, atMs?: number) =>
    reapply(replayed(NO_ACCOUNT, 'deployment.revoked', { what, id }, atMs))

  test('a service is revoked, and one of the same name that was made later stays', async () => {
    const customer = await newConsumer(app)
    const service = await newService(app)
    const spends = async () => (await spendAs(app, service, { account: customer.accountId })).status
    expect(await revoked('service', service.name, Date.now() - 1_000)).toBe('applied')
    expect(await spends()).toBe(200)
    expect(await revoked('service', service.name, Date.now() + 1)).toBe('applied')
    app.advance(31_000)
    expect(await spends()).toBe(401)
  })

  test('an operator is removed, and one who was added later stays', async () => {
    const { accountId } = await app.signUp()
    await makeOperator(app, accountId, 'support')
    const isRemoved = async () => {
      const all = await listOperators(await app.ports())
      return all.find((each) => each.accountId === accountId)?.removedAtMs !== undefined
    }
    await revoked('operator', accountId, Date.now() - 1_000)
    expect(await isRemoved()).toBe(false)
    await revoked('operator', accountId, Date.now() + 1)
    expect(await isRemoved()).toBe(true)
  })

  test('of a name that nobody has is gone', async () => {
    for (const what of ['service', 'admin-key', 'operator', 'coupon'])
      expect([what, await revoked(what, 'nobody')]).toEqual([what, 'gone'])
  })

  test('the event is kept as the one of the deployment', async () => {
    const event = replayed(NO_ACCOUNT, 'deployment.revoked', { what: 'mail-domain', id: 'spam.example' })
    expect(await reapply(event)).toBe('applied')
    const { table } = await app.ports()
    expect(await table.get(outEventKey(NO_ACCOUNT, event.detail.atMs, event.detail.id))).toBeDefined()
  })
})
