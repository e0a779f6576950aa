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

const put = ({ accessToken: token }: SignedInPerson, json: object) =>
  app.request('PUT', '/v1/user/renewal', { token, json })
const limits = async (person: SignedInPerson) => {
  const { monthlyCap, maxPerHour, maxPerDay } = (await shown(app, person)).renewal
  return { monthlyCap, maxPerHour, maxPerDay }
}

test('204: the limits of an hour and a day are shown unchanged, and what is left out stays', async () => {
  const person = await app.signUp()
  expect(await limits(person)).toEqual({ monthlyCap: null, maxPerHour: 3, maxPerDay: 10 })
  expect((await put(person, { monthlyCap: 20, maxPerHour: 1 })).status).toBe(204)
  expect((await put(person, { maxPerDay: 10_000 })).status).toBe(204)
  expect(await limits(person)).toEqual({ monthlyCap: 20, maxPerHour: 1, maxPerDay: 10_000 })
  expect((await put(person, { maxPerHour: null, maxPerDay: null })).status).toBe(204)
  expect(await limits(person)).toEqual({ monthlyCap: 20, maxPerHour: 3, maxPerDay: 10 })
})

test.each([0, -1, 1.5, 10_001, '3', true])('400: a limit of %j, and the previous one stays', async (most) => {
  const person = await app.signUp()
  for (const json of [{ maxPerHour: most }, { maxPerDay: most, monthlyCap: 5 }, {}])
    expectError(v1.setRenewal, await put(person, json), 'invalid_request')
  expect(await limits(person)).toEqual({ monthlyCap: null, maxPerHour: 3, maxPerDay: 10 })
})

test('204: twenty changes at once are all made', async () => {
  const person = await app.signUp()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => put(person, { maxPerHour: n + 1 })))
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 204))
})
