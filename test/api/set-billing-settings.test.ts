import { expect, test } from 'vitest'
import { api } from '../../functions/api/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { shown, signUpFor } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { cardOnFile, customerId, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { dashboard } = stripeOf(app)

const WHOLE = { address1: 'Main st. 1', city: 'York', country: 'GB', zip: 'YO31 8SB' }

const set = ({ accessToken: token }: SignedInPerson, json: object) =>
  app.request('PUT', '/api/billing-settings', { token, json })

async function changed(person: SignedInPerson, json: object) {
  const answer = await set(person, json)
  expect(answer.status).toBe(200)
  expectContract(api.setBillingSettings, answer)
  expect(await shown(app, person, '/api/billing-settings')).toEqual(answer.body)
  return answer.body
}

test('200: what is sent changes, what is left out or empty stays, and null takes a field away', async () => {
  const person = await app.signUp()
  expect(
    await changed(person, { ...WHOLE, address2: 'Floor 2', company: 'Rezet', taxId: 'GB 123' }),
  ).toMatchObject({ ...WHOLE, address2: 'Floor 2', company: 'Rezet', state: null, taxId: 'GB 123' })
  expect(await changed(person, { city: 'Leeds', company: '', address2: null, taxId: null })).toMatchObject({
    ...WHOLE,
    city: 'Leeds',
    address2: null,
    company: 'Rezet',
    taxId: null,
  })
  expect((await shown(app, person)).address).toEqual({
    street: 'Main st. 1',
    city: 'Leeds',
    company: 'Rezet',
    district: '',
    postCode: 'YO31 8SB',
    country: 'United Kingdom',
  })
})

test('200: a tax id alone needs no address', async () => {
  expect(await changed(await app.signUp(), { taxId: 'DE123456789' })).toMatchObject({
    address1: null,
    taxId: 'DE123456789',
  })
})

test('400: a first address that is not whole names the fields that are missing, and nothing is stored', async () => {
  const person = await app.signUp()
  const answer = await set(person, { address1: 'Main st. 1', city: 'York', taxId: 'DE1' })
  expectError(api.setBillingSettings, answer, 'invalid_request')
  expect(answer.body.errors.map(({ field }: { field: string }) => field).sort()).toEqual(['country', 'zip'])
  expect(await shown(app, person, '/api/billing-settings')).toMatchObject({ address1: null, taxId: null })
})

test.each([
  [{ address1: null }, 'address1'],
  [{ country: 'United Kingdom' }, 'country'],
  [{ taxId: '<b>' }, 'taxId'],
  [{ city: 'Y'.repeat(101) }, 'city'],
  [{ email: 'ada@mail.example' }, 'email'],
])('400 for %j', async (json, field) => {
  const answer = await set(await app.signUp(), { ...WHOLE, ...json })
  expectError(api.setBillingSettings, answer, 'invalid_request')
  expect(JSON.stringify(answer.body.errors)).toContain(field)
})

test('a change reaches the customer at Stripe with the next sweep, and a first customer at once', async () => {
  const addressOf = async (person: SignedInPerson) => {
    const found = await dashboard.customers.retrieve((await customerId(app, person)) ?? '')
    return found.deleted ? undefined : found.address
  }
  const [early, late] = [await app.signUp(), await app.signUp()]
  await changed(early, WHOLE)
  await cardOnFile(app, early)
  await cardOnFile(app, late)
  await changed(late, { ...WHOLE, address2: 'Floor 2' })
  await app.job('sweep')
  expect(await addressOf(early)).toMatchObject({ line1: 'Main st. 1', city: 'York', country: 'GB' })
  expect(await addressOf(late)).toMatchObject({ line1: 'Main st. 1', line2: 'Floor 2' })
})

test('two changes at once both count', async () => {
  const person = await app.signUp()
  await changed(person, WHOLE)
  const answers = await Promise.all([set(person, { company: 'Rezet' }), set(person, { state: 'North' })])
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  expect(await shown(app, person, '/api/billing-settings')).toMatchObject({
    company: 'Rezet',
    state: 'North',
  })
})

test('a sign-up with another address replaces it, and keeps the tax id', async () => {
  const person = await app.signUp()
  await changed(person, { ...WHOLE, address2: 'Floor 2', taxId: 'DE1' })
  expect((await signUpFor(app, person, 'STARTER', 'pm_card_visa')).status).toBe(204)
  expect(await shown(app, person, '/api/billing-settings')).toMatchObject({
    address1: 'Main st.',
    address2: null,
    taxId: 'DE1',
  })
})
