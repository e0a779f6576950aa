import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume, newConsumer, uuidv7 } from '../support/quota.ts'
import { reserve, settle } from '../support/reservations.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const DAY_MS = 24 * 3_600_000
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.usage, answer, code)

const usage = ({ accessToken: token }: SignedInPerson, query = '') =>
  app.request('GET', `/v1/usage${query}`, { token })

const today = () => new Date().toISOString().slice(0, 10)
const nextDay = (person: SignedInPerson) => {
  app.advance(DAY_MS)
  return app.login(person).then(({ accessToken }) => Object.assign(person, { accessToken }))
}

test('200: an account without use has an empty list', async () => {
  const { status, body } = await usage(await newConsumer(app))
  expect([status, body]).toEqual([200, { allusage: 0, days: [] }])
})

test('200: use is listed by day and key, newest last, without days of no use', async () => {
  const person = await newConsumer(app, 1000)
  const further = await createKey(app, person)
  const first = today()
  await consume(app, person.key, { units: 1 })
  await consume(app, further.key, { units: 2, requestId: uuidv7() })
  await nextDay(person)
  await nextDay(person)
  expect((await usage(person)).body.days).toHaveLength(1)
  const third = today()
  await Promise.all([4, 8, 16].map((units) => consume(app, person.key, { units })))
  const expected = {
    allusage: 31,
    days: [
      {
        day: first,
        units: 3,
        keys: [
          { id: 'default', units: 1 },
          { id: further.id, units: 2 },
        ],
      },
      { day: third, units: 28, keys: [{ id: 'default', units: 28 }] },
    ],
  }
  expect((await usage(person)).body).toEqual(expected)
  await nextDay(person)
  expect((await usage(person)).body).toEqual(expected)
})

test('200: a rotated key keeps its use, and the use of a deleted key is listed under null', async () => {
  const person = await newConsumer(app, 1000)
  const [kept, gone] = [await createKey(app, person), await createKey(app, person)]
  await consume(app, kept.key, { units: 1 })
  await consume(app, gone.key, { units: 2 })
  const token = person.accessToken
  const rotated = await app.request('POST', `/v1/keys/${kept.id}/rotate`, { token })
  await app.request('DELETE', `/v1/keys/${gone.id}`, { token })
  await consume(app, rotated.body.key, { units: 4 })
  const keys = [
    { id: kept.id, units: 5 },
    { id: null, units: 2 },
  ]
  expect((await usage(person)).body.days).toEqual([{ day: today(), units: 7, keys }])
  await nextDay(person)
  await consume(app, person.key, { units: 8 })
  const { days } = (await usage(person)).body
  expect(days.map(({ units }: { units: number }) => units)).toEqual([7, 8])
  expect(days[0].keys).toEqual(keys)
})

test('200: use is split by tag: of spends, batches with a tag of their own, and settles', async () => {
  const person = await newConsumer(app, 1000)
  const [further, gone] = [await createKey(app, person), await createKey(app, person)]
  const day = today()
  await consume(app, person.key, { units: 1, tag: 'a' })
  await consume(app, person.key, { units: 2, tag: '__proto__' })
  await consume(app, person.key, { units: 4 })
  const requests = [{ units: 8 }, { units: 16, tag: 'a' }]
  await app.request('POST', '/v1/usage/batch', { token: further.key, json: { requests, tag: 'batch' } })
  const { body: held } = await reserve(app, further.key, { units: 100 })
  // The units count for the key that reserved, whichever settles.
  await settle(app, person.key, held.id, { units: 32, tag: 'work' })
  await settle(app, person.key, held.id, { units: 32, tag: 'work' })
  await consume(app, gone.key, { units: 64, tag: 'a' })
  await app.request('DELETE', `/v1/keys/${gone.id}`, { token: person.accessToken })
  const keys = [
    {
      id: 'default',
      units: 7,
      tags: [
        { tag: '__proto__', units: 2 },
        { tag: 'a', units: 1 },
        { tag: null, units: 4 },
      ],
    },
    {
      id: further.id,
      units: 56,
      tags: [
        { tag: 'work', units: 32 },
        { tag: 'a', units: 16 },
        { tag: 'batch', units: 8 },
      ],
    },
    { id: null, units: 64, tags: [{ tag: 'a', units: 64 }] },
  ]
  expect((await usage(person)).body.days).toEqual([{ day, units: 127, keys }])
  await nextDay(person)
  await consume(app, person.key, { units: 1 })
  expect((await usage(person, `?to=${day}`)).body.days[0].keys).toEqual(keys)
  const first = new Date(Date.parse(day) - 31 * DAY_MS).toISOString().slice(0, 10)
  const [{ keys: long }] = (await usage(person, `?from=${first}&to=${day}`)).body.days
  expect(long.map(({ units, tags }: { units: number; tags: unknown }) => [units, tags])).toEqual([
    [7, undefined],
    [56, undefined],
    [64, undefined],
  ])
})

test.each(['', 'x'.repeat(65), 'two words', 'gr\u00fcn', 5, null])(
  '400: the tag %j, which spends nothing',
  async (tag) => {
    const person = await newConsumer(app)
    const sent = [
      await consume(app, person.key, { units: 1, tag }),
      await app.request('POST', '/v1/usage/batch', {
        token: person.key,
        json: { requests: [{ units: 1 }], tag },
      }),
    ]
    expect(sent.map(({ status }) => status)).toEqual([400, 400])
    expect((await usage(person)).body.allusage).toBe(0)
  },
)

test('200: the days from `from` to `to` are listed, both included; by default the last 30 days', async () => {
  const person = await newConsumer(app, 1000)
  const days = [today()]
  await consume(app, person.key, { units: 1 })
  for (let count = 0; count < 2; count++) {
    await nextDay(person)
    days.push(today())
    await consume(app, person.key, { units: 1 })
  }
  const shown = async (query: string) =>
    (await usage(person, query)).body.days.map(({ day, units }: { day: string; units: number }) => [
      day,
      units,
    ])
  expect(await shown(`?from=${days[1]}&to=${days[1]}`)).toEqual([[days[1], 1]])
  expect(await shown(`?to=${days[1]}`)).toEqual([
    [days[0], 1],
    [days[1], 1],
  ])
  expect(await shown(`?from=${days[2]}`)).toEqual([[days[2], 1]])
  expect(await shown('?from=2020-01-01&to=2020-12-31')).toEqual([])
  app.advance(28 * DAY_MS)
  Object.assign(person, { accessToken: (await app.login(person)).accessToken })
  expect(await shown('')).toEqual([
    [days[1], 1],
    [days[2], 1],
  ])
})

test.each([
  '?from=2026-11-02&to=2026-11-01',
  '?from=2025-01-01&to=2026-01-02',
  '?from=today',
  '?to=2026-02-30',
  '?day=2026-01-01',
])('400: %s', async (query) => {
  refused(await usage(await newConsumer(app), query), 'invalid_request')
})

test.each([
  ['0001-01-01', '0001-06-01'],
  ['1969-12-01', '1970-01-02'],
  ['2243-10-01', '2243-11-30'],
  ['9999-01-01', '9999-12-31'],
])('400: the days from %s to %s, for which sort keys have no form', async (from, to) => {
  const answer = await usage(await newConsumer(app), `?from=${from}&to=${to}`)
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toContainEqual({
    field: 'to',
    message: 'must be a day of the years 2000 to 2099',
  })
})
