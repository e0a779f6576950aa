import { expect, test } from 'vitest'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()

const get = () => app.request('GET', '/v1/config')

test('200: anybody learns what a page needs before a sign-in', async () => {
  const { status, body } = await get()
  expect(status).toBe(200)
  expect(body).toEqual({
    appName: 'Bursar',
    publishableKey: 'pk_test_Local0001',
    challenge: null,
    bundles: [
      { name: 'STARTER', title: 'Starter', units: 1_000, price: 0.99 },
      { name: 'DEVELOPER', title: 'Developer', units: 100_000, price: 9.99 },
      { name: 'ENTERPRISE', title: 'Enterprise', units: 1_000_000, price: 79.99 },
    ].map((bundle) => ({ ...bundle, currency: 'USD', monthlyUnits: 0, expiresAfterDays: null })),
    trialUnits: 100,
    password: { minLength: 8, maxLength: 128, symbols: '!@#$%&*' },
    factors: { totp: true, passkeys: true },
    supportEmail: 'no-reply@bursar.example',
    theme: { color: null, logoUrl: null },
    links: { terms: null, privacy: null },
  })
})

test('anybody may keep the answer for a minute, and an error for no time', async () => {
  expect((await get()).headers.get('cache-control')).toBe('public, max-age=60')
  app.stack.dynamo.addFault({ fault: 'throttle', match: 'GetItem', times: 10 })
  const { status, headers } = await get()
  expect([status, headers.get('cache-control')]).toEqual([503, 'no-store'])
  app.stack.dynamo.clearFaults()
})

test('the bundles are those that anybody can buy now, at their present prices, with one read', async () => {
  const [starter, developer] = defaultCatalogue.plans
  const plans = [
    { ...starter, prices: { USD: 150 }, monthlyUnits: 50, expiresAfterDays: 30 },
    { ...developer, hidden: true },
    { name: 'OLD', units: 10, prices: { USD: 100 }, for: 'existing' },
    { name: 'PLAIN', units: 10, prices: { USD: 100 } },
  ]
  await app.request('PUT', '/ops/admin/plans', {
    operator: 'admin',
    json: { catalogue: { trialUnits: 5, plans }, reason: 'A test' },
  })
  app.resetCalls()
  const { body } = await get()
  expect(outsideCalls(app)).toEqual({ GetItem: 1 })
  expect(body).toMatchObject({
    trialUnits: 5,
    bundles: [
      { name: 'STARTER', units: 1_000, price: 1.5, monthlyUnits: 50, expiresAfterDays: 30 },
      { name: 'PLAIN', title: 'PLAIN', price: 1, monthlyUnits: 0, expiresAfterDays: null },
    ],
  })
  expect(body.bundles).toHaveLength(2)
})

test('the password rule is the one by which passwords are refused', async () => {
  const { minLength, maxLength, symbols } = (await get()).body.password
  const register = async (password: string) =>
    (await app.request('POST', '/rest/users', { json: { ...newPerson(), password } })).status
  for (const symbol of symbols) {
    expect(await register(symbol.padStart(minLength, 'a'))).toBe(201)
    expect(await register(symbol.padStart(maxLength, 'a'))).toBe(201)
    expect(await register(symbol.padStart(minLength - 1, 'a'))).toBe(400)
    expect(await register(symbol.padStart(maxLength + 1, 'a'))).toBe(400)
  }
  expect(await register('a'.repeat(minLength))).toBe(400)
})
