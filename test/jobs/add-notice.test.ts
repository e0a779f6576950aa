import { beforeEach, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { handler as addNotice } from '../../functions/jobs/add-notice.ts'
import { startApp } from '../support/app.ts'
import { asFunction } from '../support/aws-calls.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()
const handler = (event: unknown) => asFunction('functions/jobs/add-notice.ts', () => addNotice(event))
beforeEach(app.startAfresh)

const NOBODY = '0'.repeat(24)

let events = 0

/** An event as EventBridge delivers it. */
const event = (accountId: string, detail: object = {}, envelope: object = {}) => ({
  version: '0',
  id: `12345678-1234-4234-8234-${String(++events).padStart(12, '0')}`,
  'detail-type': 'bursar.notice',
  source: 'teams',
  account: '000000000000',
  time: new Date().toISOString(),
  region: 'eu-west-1',
  resources: [],
  detail: { accountId, messageType: 'invite', message: 'You invited to join Dev team.', ...detail },
  ...envelope,
})

async function notices({ accountId }: Pick<SignedInPerson, 'accountId'>) {
  return (await app.ports()).table.list(keys.account(accountId), 'NOTICE#')
}

test('a notice is added, and its owner reads it', async () => {
  const person = await app.signUp()
  expect(await handler(event(person.accountId))).toEqual({ notice: 'added' })
  const { body } = await app.request('GET', '/api/users/current/notifications', { token: person.accessToken })
  expect(body).toMatchObject([{ messageType: 'invite', message: 'You invited to join Dev team.' }])
})

test('the same event twice, even a day apart, is one notice', async () => {
  const person = await app.signUp()
  const same = event(person.accountId)
  expect(await handler(same)).toEqual({ notice: 'added' })
  expect(await handler(same)).toEqual({ notice: 'repeated' })
  app.advance(24 * 3_600_000)
  expect(await handler(same)).toEqual({ notice: 'repeated' })
  expect(await notices(person)).toHaveLength(1)
})

test('the same event ten times at once is one notice', async () => {
  const person = await app.signUp()
  const same = event(person.accountId)
  const done = await Promise.all(Array.from({ length: 10 }, () => handler(same)))
  expect(done.filter(({ notice }) => notice === 'added')).toHaveLength(1)
  expect(done.filter(({ notice }) => notice === 'repeated')).toHaveLength(9)
  expect(await notices(person)).toHaveLength(1)
})

test('two events with the same message are two notices', async () => {
  const person = await app.signUp()
  for (let count = 0; count < 2; count++) await handler(event(person.accountId))
  expect(await notices(person)).toHaveLength(2)
})

test('an event’s id that was used for one account adds nothing to another', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const first = event(person.accountId)
  await handler(first)
  expect(await handler({ ...event(other.accountId), id: first.id })).toEqual({ notice: 'repeated' })
  expect(await notices(other)).toEqual([])
})

test('a deactivated account gets the notice and shows it once it is restored', async () => {
  const person = await app.signUp()
  const { table } = await app.ports()
  await table.update(keys.profile(person.accountId), expr`SET #status = ${'deactivated'}`)
  expect(await handler(event(person.accountId))).toEqual({ notice: 'added' })
  expect(await notices(person)).toHaveLength(1)
})

test('an unknown account gets no notice; the event may come again once the account exists', async () => {
  const lost = event(NOBODY)
  expect(await handler(lost)).toEqual({ notice: 'no such account' })
  expect(await notices({ accountId: NOBODY })).toEqual([])
  const { table } = await app.ports()
  expect(await table.get(keys.event(`bus:${lost.id}`))).toBe(undefined)
})

test('an event with more fields than Bursar knows adds its notice: events grow', async () => {
  const person = await app.signUp()
  const grown = event(person.accountId, { createdAt: '2020-01-01', tags: ['x'] }, { 'replay-name': 'x' })
  expect(await handler(grown)).toEqual({ notice: 'added' })
  expect(await notices(person)).toMatchObject([{ message: grown.detail.message }])
})

const PERSON = await app.signUp()

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['text', 'bursar.notice'],
  ['an empty object', {}],
  ['no id', event(PERSON.accountId, {}, { id: undefined })],
  ['an empty id', event(PERSON.accountId, {}, { id: '' })],
  ['an id of 101 characters', event(PERSON.accountId, {}, { id: 'x'.repeat(101) })],
  ['an id that is a number', event(PERSON.accountId, {}, { id: 1 })],
  ['no detail', event(PERSON.accountId, {}, { detail: undefined })],
  ['a detail as JSON text', event(PERSON.accountId, {}, { detail: '{"accountId":"x"}' })],
  ['no account', event(PERSON.accountId, { accountId: undefined })],
  ['an account that is not an id', event('#PROFILE')],
  ['an account in upper case', event(PERSON.accountId.toUpperCase().replace(/^\w/, 'A'))],
  ['no type', event(PERSON.accountId, { messageType: undefined })],
  ['an empty type', event(PERSON.accountId, { messageType: '' })],
  ['a type of 51 characters', event(PERSON.accountId, { messageType: 'x'.repeat(51) })],
  ['an empty message', event(PERSON.accountId, { message: '' })],
  ['a message of 1,001 characters', event(PERSON.accountId, { message: 'x'.repeat(1001) })],
  ['a message that is an object', event(PERSON.accountId, { message: { text: 'x' } })],
])('a malformed event (%s) adds nothing, calls nothing and is not retried', async (_, malformed) => {
  app.resetCalls()
  expect(await handler(malformed)).toEqual({ notice: 'malformed' })
  expect(app.calls().dynamodb).toEqual({})
  expect(await notices(PERSON)).toEqual([])
})

test('an outage is thrown, so that EventBridge retries, and the retry adds one notice', async () => {
  const person = await app.signUp()
  const same = event(person.accountId)
  app.stack.dynamo.addFault({ fault: 'error-before' })
  await expect(handler(same)).rejects.toMatchObject({ code: 'temporarily_unavailable' })
  app.stack.dynamo.clearFaults()
  expect(await notices(person)).toEqual([])
  expect(await handler(same)).toEqual({ notice: 'added' })
})

test('a lost answer of the database is one notice after the retry', async () => {
  const person = await app.signUp()
  const same = event(person.accountId)
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit' })
  await handler(same).catch(() => {})
  app.stack.dynamo.clearFaults()
  expect(await handler(same)).toEqual({ notice: 'repeated' })
  expect(await notices(person)).toHaveLength(1)
})

test('the log says what happened, and nothing about the message or its recipient', async () => {
  const person = await app.signUp()
  app.logs.length = 0
  await handler(event(person.accountId, { message: 'Planted message' }))
  expect(app.logs.map((line) => JSON.parse(line))).toMatchObject([{ level: 'info', notice: 'added' }])
  for (const secret of ['Planted', person.accountId]) expect(app.logs.join()).not.toContain(secret)
})
