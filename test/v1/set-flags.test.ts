import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { expectBooksAgree, newBuyer, spendTo } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { counterOf } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const ON = { bundleAutoRenewal: true, lowQuotaNotification: true }
const OFF = { bundleAutoRenewal: false, lowQuotaNotification: false }

const set = (token: string, json?: unknown) => app.request('PUT', '/v1/user/flags', { token, json })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.setFlags, answer, code)
const flags = async (token: string) => (await app.request('GET', '/v1/user', { token })).body.flags

test.each([
  ['both on', ON, ON],
  ['GreenCloud’s example, both off', OFF, OFF],
  ['only one flag, on: the other goes off', { bundleAutoRenewal: true }, { ...OFF, bundleAutoRenewal: true }],
  ['only the other flag, on', { lowQuotaNotification: true }, { ...OFF, lowQuotaNotification: true }],
  ['only one flag, off: both are off', { lowQuotaNotification: false }, OFF],
  ['GreenCloud’s second spelling, on', { bundleAutoRenew: true }, { ...OFF, bundleAutoRenewal: true }],
  [
    'the second spelling, off, with the other flag',
    { bundleAutoRenew: false, lowQuotaNotification: true },
    { ...OFF, lowQuotaNotification: true },
  ],
  ['an empty object: both off', {}, OFF],
  ['no body: both off', undefined, OFF],
])('204: %s', async (_, json, expected) => {
  const { accessToken } = await app.signUp()
  expect(await flags(accessToken)).toEqual(ON)
  const { status, text } = await set(accessToken, json)
  expect([status, text]).toEqual([204, ''])
  expect(await flags(accessToken)).toEqual(expected)
})

test('204: an empty body with a content type switches both flags off', async () => {
  const { accessToken: token } = await app.signUp()
  const headers = { 'content-type': 'application/json' }
  expect((await app.request('PUT', '/v1/user/flags', { token, headers })).status).toBe(204)
  expect(await flags(token)).toEqual(OFF)
})

test('204: flags go off and on again, and those of other accounts do not change', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  await set(person.accessToken, {})
  await set(person.accessToken, { bundleAutoRenewal: true })
  expect(await flags(person.accessToken)).toEqual({ ...OFF, bundleAutoRenewal: true })
  expect(await flags(other.accessToken)).toEqual(ON)
})

test('204: the time of the change is shown', async () => {
  const { accessToken: token, username } = await app.signUp()
  app.advance(1_000)
  await set(token, OFF)
  const { body } = await app.request('GET', `/rest/users/${username}`, { token })
  expect(body.content.update).toBe(new Date().toISOString())
})

test('204: auto-renewal that is switched on wakes a renewal that became due meanwhile; switched off, it does not', async () => {
  const person = await newBuyer(app)
  const { accessToken: token } = person
  const isDue = async () => (await counterOf(app, person)).due !== undefined
  await set(token, OFF)
  await spendTo(app, person, 5)
  await app.job('check-quotas')
  expect(await isDue()).toBe(false)
  await set(token, { lowQuotaNotification: true })
  expect(await isDue()).toBe(false)
  await set(token, ON)
  expect(await isDue()).toBe(true)
  expect(await app.job('check-quotas')).toMatchObject({ renewed: 1 })
  await expectBooksAgree(app, person)
})

test('204: without a bundle no renewal is woken', async () => {
  const person = await app.signUp()
  await set(person.accessToken, OFF)
  await set(person.accessToken, ON)
  expect((await counterOf(app, person)).due).toBeUndefined()
})

/** One person is shared by all refused requests, because these change nothing. */
let shared: Promise<SignedInPerson> | undefined
const bystander = () => (shared ??= app.signUp())

test.each([
  [
    'both spellings, though they agree',
    { bundleAutoRenewal: true, bundleAutoRenew: true },
    'bundleAutoRenew',
    'is bundleAutoRenewal: send one of them',
  ],
  [
    'both spellings that differ',
    { bundleAutoRenewal: true, bundleAutoRenew: false },
    'bundleAutoRenew',
    'is bundleAutoRenewal: send one of them',
  ],
  [
    'a mistyped flag, which must not switch the other off',
    { bundleAutoRenewal: true, lowQuotaNotifications: true },
    'lowQuotaNotifications',
    'is not a field of this request',
  ],
  [
    'the third spelling, from the prose of GreenCloud’s page',
    { bundleAuthRenewal: true },
    'bundleAuthRenewal',
    'is not a field of this request',
  ],
  ['text', { bundleAutoRenewal: 'true' }, 'bundleAutoRenewal', 'must be of type boolean'],
  ['a number', { lowQuotaNotification: 1 }, 'lowQuotaNotification', 'must be of type boolean'],
  ['null', { bundleAutoRenew: null }, 'bundleAutoRenew', 'must be of type boolean'],
])('400: %s, and nothing changes', async (_, json, field, message) => {
  const { accessToken } = await bystander()
  const answer = await set(accessToken, json)
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field, message }])
  expect(await flags(accessToken)).toEqual(ON)
})

test('401: after the session has ended', async () => {
  const person = await app.signUp()
  await app.request('POST', '/v1/auth/logout', { token: person.accessToken })
  refused(await set(person.accessToken, {}), 'session_ended')
  expect(await flags((await app.login(person)).accessToken)).toEqual(ON)
})

test('503: while the database is down the flags stay as they are', async () => {
  const { accessToken } = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'UpdateItem' })
  refused(await set(accessToken, {}), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect(await flags(accessToken)).toEqual(ON)
})
