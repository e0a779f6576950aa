import { expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { shown } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()

const set = ({ accessToken: token }: SignedInPerson, monthlyCap: unknown) =>
  app.request('PUT', '/v1/user/renewal', { token, json: { monthlyCap } })
const cap = async (person: SignedInPerson) => (await shown(app, person)).renewal.monthlyCap

test.each([0, 0.5, 0.29, 19.99, 1_000_000, null])('204: a cap of %j is shown unchanged', async (dollars) => {
  const person = await app.signUp()
  expect(await cap(person)).toBeNull()
  const answer = await set(person, dollars)
  expect([answer.status, answer.text]).toEqual([204, ''])
  expectContract(v1.setRenewal, answer)
  expect(await cap(person)).toBe(dollars)
})

test('204: null removes the cap of this account and of no other', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  await set(person, 20)
  await set(other, 30)
  await set(person, null)
  expect([await cap(person), await cap(other)]).toEqual([null, 30])
})

test.each([-0.01, 1_000_000.01, 0.001, 1.005, '20', true, [20], {}, undefined])(
  '400: a cap of %j, and the previous cap stays',
  async (dollars) => {
    const person = await app.signUp()
    await set(person, 20)
    expectError(v1.setRenewal, await set(person, dollars), 'invalid_request')
    expect(await cap(person)).toBe(20)
  },
)

// The effect of a cap on renewals is tested in test/jobs/check-quotas.test.ts.
