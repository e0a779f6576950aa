import { expect, test } from 'vitest'
import { api } from '../../functions/api/routes.ts'
import { expectContract } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newBuyer } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()

async function settingsOf({ accessToken: token }: SignedInPerson) {
  const answer = await app.request('GET', '/api/billing-settings', { token })
  expect(answer.status).toBe(200)
  expectContract(api.getBillingSettings, answer)
  return answer.body
}

test('200: before anything is set, every field is null', async () => {
  const person = await app.signUp()
  expect(await settingsOf(person)).toEqual({
    ...{ _id: person.accountId, user: person.accountId },
    ...{ address1: null, address2: null, city: null, company: null, country: null, state: null, zip: null },
    ...{ taxId: null, createdAt: expect.any(String), updatedAt: expect.any(String) },
  })
})

test('200: the address of a sign-up, which is one with that of GreenCloud', async () => {
  expect(await settingsOf(await newBuyer(app))).toMatchObject({
    address1: 'Main st.',
    address2: null,
    city: 'England',
    company: 'GreenCloud',
    country: 'GB',
    state: 'South district',
    zip: 'YO31 8SB',
  })
})
