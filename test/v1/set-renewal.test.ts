import { expect, test } from 'vitest'
import { balanceParts } from '../../core/quota/thresholds.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, shown, signUpFor, spendTo } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume, counterOf } from '../support/quota.ts'
import { newCard } from '../support/stripe.ts'

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

const choose = ({ accessToken: token }: SignedInPerson, json: unknown) =>
  app.request('PUT', '/v1/user/renewal', { token, json })

test.each([
  [{ below: 1 }, 1],
  [{ below: 500 }, 500],
  [{ below: '1%' }, '1%'],
  [{ below: '0.01%' }, '0.01%'],
  [{ below: '12.5%' }, '12.5%'],
  [{ below: '50%' }, '50%'],
  [{ below: '7%' }, '7%'],
  [{ below: 50_000, bundle: 'DEVELOPER' }, 50_000],
])('204: %j is shown unchanged', async (json, below) => {
  const person = await newBuyer(app)
  expect((await choose(person, json)).status).toBe(204)
  const { renewal } = await shown(app, person)
  expect(renewal).toMatchObject({ below, bundle: 'bundle' in json ? json.bundle : 'STARTER' })
})

test.each([
  ...[
    0,
    -1,
    1.5,
    501,
    1e300,
    '0%',
    '0.001%',
    '50.01%',
    '51%',
    '100%',
    '-1%',
    '1',
    '1 %',
    '%',
    '',
    true,
    [1],
  ].map((below) => ({ below })),
  { below: 50_001, bundle: 'DEVELOPER' },
  { bundle: 'GOLD' },
  { bundle: 'starter' },
  { bundle: '' },
  { below: 100, monthlyCap: -1 },
  { below: 501, monthlyCap: 5 },
  {},
])('400: %j, with a message for the member, and everything stays as it was', async (json) => {
  const person = await newBuyer(app)
  await choose(person, { below: 20, monthlyCap: 7 })
  const answer = await choose(person, json)
  expectError(v1.setRenewal, answer, 'invalid_request')
  for (const { message } of answer.body.errors) expect(message).toMatch(/^(must|or another) /)
  expect((await shown(app, person)).renewal).toMatchObject({ below: 20, monthlyCap: 7, bundle: 'STARTER' })
})

test('before the first bundle a choice is kept for it, and acts once there is one', async () => {
  const person = await app.signUp()
  expect((await choose(person, { below: 300 })).status).toBe(204)
  expect((await shown(app, person)).renewal).toMatchObject({ state: 'off', below: 300, bundle: null })
  await signUpFor(app, person, 'STARTER', await newCard(app, '4242424242424242'))
  expect(await counterOf(app, person)).toMatchObject({ b: 300, f: 300 })
})

test('concurrent changes of different members both stand', async () => {
  const person = await newBuyer(app)
  const answers = await Promise.all([
    choose(person, { below: '5%' }),
    choose(person, { bundle: 'DEVELOPER' }),
    choose(person, { monthlyCap: 50 }),
  ])
  expect(answers.map(({ status }) => status)).toEqual([204, 204, 204])
  const { renewal } = await shown(app, person)
  expect(renewal).toMatchObject({ below: '5%', bundle: 'DEVELOPER', monthlyCap: 50 })
})

test('a change and a consume that crosses the threshold at once leave balance and threshold in step', async () => {
  for (let n = 0; n < 3; n++) {
    const person = await newBuyer(app)
    await spendTo(app, person, 102)
    await Promise.all([
      choose(person, { below: 250 }),
      ...Array.from({ length: 4 }, () => consume(app, person.key, { units: 1 })),
    ])
    const { l = 0, f = 0, r } = (await counterOf(app, person)) as Record<string, number>
    expect({ left: l, floor: f }).toEqual(balanceParts(98, { size: 1000, below: 250 }))
    expect(r).toBeDefined()
  }
})

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
