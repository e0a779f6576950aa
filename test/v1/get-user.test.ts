import { expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { ADDRESS, newBuyer, spendTo } from '../support/buyers.ts'
import { consume } from '../support/quota.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)

const ON = {
  state: 'on',
  reason: null,
  nextAttemptAt: null,
  monthlyCap: null,
  maxPerHour: 3,
  maxPerDay: 10,
  below: '1%',
  bundle: 'STARTER',
}

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const get = (token: string) => app.request('GET', '/v1/user', { token })

test('200: the caller’s account in GreenCloud’s format', async () => {
  const { accountId, username, email, accessToken } = await app.signUp()
  const { status, body } = await get(accessToken)
  expect(status).toBe(200)
  expect(body).toEqual({
    id: accountId,
    username,
    email,
    name: username,
    surname: '',
    address: null,
    twofa: false,
    apiKey: expect.stringMatching(UUID_V4),
    usage: { left: 100, used: 0, reserved: 0 },
    bundle: null,
    renewal: { ...ON, state: 'off', bundle: null },
    flags: { bundleAutoRenewal: true, lowQuotaNotification: true },
    alerts: [],
  })
})

test('200: the default key of an account stays the same, and no two accounts share a key', async () => {
  const [ada, eve] = [await app.signUp(), await app.signUp()]
  const keyOf = async ({ accessToken }: typeof ada) => (await get(accessToken)).body.apiKey
  const keysOfAda = [await keyOf(ada), await keyOf(await app.login(ada))]
  expect(keysOfAda[1]).toBe(keysOfAda[0])
  expect(await keyOf(eve)).not.toBe(keysOfAda[0])
})

test('200: the stored account does not hold the default key in the clear', async () => {
  const { accountId, accessToken } = await app.signUp()
  const { apiKey } = (await get(accessToken)).body
  const items = await (await app.ports()).table.list(keys.account(accountId), '#')
  expect(JSON.stringify(items)).not.toContain(apiKey)
})

test.each([
  ['Richard Hill', 'Richard', 'Hill'],
  ['Anna Maria Hill', 'Anna Maria', 'Hill'],
  ['Zoë', 'Zoë', ''],
])('200: the full name %j is split at its last space', async (fullName, name, surname) => {
  const { accountId, accessToken } = await app.signUp()
  await (await app.ports()).table.update(keys.profile(accountId), expr`SET #name = ${fullName}`)
  expect((await get(accessToken)).body).toMatchObject({ name, surname })
})

test('401: the key is not shown after the session has ended', async () => {
  const { accessToken } = await app.signUp()
  await app.request('POST', '/v1/auth/logout', { token: accessToken })
  const { status, body } = await get(accessToken)
  expect([status, body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
})

test('200: the bundle with the units left, its price, and auto-renewal', async () => {
  const person = await newBuyer(app, { bundle: 'DEVELOPER' })
  await consume(app, person.key, { units: 42 })
  const { body } = await get(person.accessToken)
  expect(body).toMatchObject({
    bundle: { name: 'DEVELOPER', quota: 100_058, price: 9.99 },
    renewal: { ...ON, bundle: 'DEVELOPER' },
    address: { street: 'Main st.', country: 'United Kingdom' },
  })
})

test('200: the reason why the bundle does not renew is shown, and is gone after a change of card', async () => {
  const person = await newBuyer(app)
  await spendTo(app, person, 5)
  double.addFault({ fault: 'decline', match: 'POST /v1/payment_intents/*/confirm', times: 1 })
  await app.job('check-quotas')
  const renewal = async () => (await get(person.accessToken)).body.renewal
  const nextAttemptAt = new Date(Date.now() + 3_600_000).toISOString()
  expect(await renewal()).toEqual({ ...ON, state: 'retrying', reason: 'declined', nextAttemptAt })
  const json = { paymentMethod: 'pm_card_mastercard', address: ADDRESS }
  await app.request('PUT', '/v1/user/card', { token: person.accessToken, json })
  expect(await renewal()).toEqual(ON)
})

test('200: auto-renewal is shown as off if its flag is off', async () => {
  const { accessToken: token } = await newBuyer(app)
  await app.request('PUT', '/v1/user/flags', { token, json: { lowQuotaNotification: true } })
  expect((await get(token)).body).toMatchObject({
    renewal: { ...ON, state: 'off' },
    flags: { bundleAutoRenewal: false, lowQuotaNotification: true },
  })
})
