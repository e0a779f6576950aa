import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { api } from '../../functions/api/routes.ts'
import { handler as addNotice } from '../../functions/jobs/add-notice.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const PATH = '/api/users/current/notifications'

let events = 0

/** Adds notices, a millisecond apart. */
async function add({ accountId }: SignedInPerson, ...messages: string[]): Promise<void> {
  for (const message of messages) {
    const detail = { accountId, messageType: 'invite', message }
    expect(await addNotice({ id: `event-${++events}`, detail })).toEqual({ notice: 'added' })
    app.advance(1)
  }
}

const get = ({ accessToken: token }: SignedInPerson, query = '') =>
  app.request('GET', PATH + query, { token })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(api.notifications, answer, code)
const messages = ({ body }: TestAnswer): string[] => body.map(({ message }: { message: string }) => message)

/** The target of the Link header, if the answer has the header. */
function next({ headers }: TestAnswer): string | undefined {
  const link = headers.get('link')
  if (link === null) return undefined
  const [, target] = /^<([^<>]+)>; rel="next"$/.exec(link) ?? []
  expect(target, link).toBeDefined()
  return target
}

/** All pages from the first one on, along the Link headers. */
async function pages(person: SignedInPerson, query: string): Promise<TestAnswer[]> {
  const found = []
  for (let target: string | undefined = PATH + query; target !== undefined; ) {
    const answer: TestAnswer = await app.request('GET', target, { token: person.accessToken })
    found.push(answer)
    target = next(answer)
    expect(found.length).toBeLessThan(100)
  }
  return found
}

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `notice ${n}`)

test('200: an empty list before the first notice', async () => {
  const answer = await get(await app.signUp())
  expect([answer.status, answer.body, next(answer)]).toEqual([200, [], undefined])
})

test('200: EMCP’s array, with _id and createdAt added', async () => {
  const person = await app.signUp()
  const createdAt = new Date().toISOString()
  await add(person, 'You invited to join Dev team.')
  const { status, body } = await get(person)
  expect({ status, body }).toEqual({
    status: 200,
    body: [
      {
        _id: expect.stringMatching(/^[0-9a-f]{24}$/),
        messageType: 'invite',
        message: 'You invited to join Dev team.',
        createdAt,
      },
    ],
  })
})

test('200: notices are listed newest first', async () => {
  const person = await app.signUp()
  await add(person, 'first', 'second')
  app.advance(60_000)
  await add(person, 'third')
  expect(messages(await get(person))).toEqual(['third', 'second', 'first'])
})

test('200: a page has twenty notices without a limit, and the Link header leads to the next page', async () => {
  const person = await app.signUp()
  await add(person, ...numbered(21))
  const first = await get(person)
  expect(messages(first)).toEqual(numbered(21).reverse().slice(0, 20))
  const target = next(first)
  expect(target).toMatch(/^\/api\/users\/current\/notifications\?limit=20&cursor=[0-9a-f]{24}$/)
  const second = await app.request('GET', String(target), { token: person.accessToken })
  expect([messages(second), next(second)]).toEqual([['notice 0'], undefined])
})

test.each([1, 2, 3, 4, 5, 6, 7, 100])(
  '200: pages of %i show each of six notices once, in order, without an empty last page',
  async (limit) => {
    const person = await app.signUp()
    await add(person, ...numbered(6))
    const found = await pages(person, `?limit=${limit}`)
    expect(found.flatMap(messages)).toEqual(numbered(6).reverse())
    expect(found).toHaveLength(Math.ceil(6 / limit))
  },
)

test('200: pages show notices of the same millisecond without a gap or a repetition', async () => {
  const person = await app.signUp()
  const all = numbered(5)
  await Promise.all(
    all.map((message) => {
      const detail = { accountId: person.accountId, messageType: 'x', message }
      return addNotice({ id: `event-${++events}`, detail })
    }),
  )
  const found = (await pages(person, '?limit=2')).flatMap(messages)
  expect(found.toSorted()).toEqual(all)
})

test('200: notices that arrive between two pages do not move the rest', async () => {
  const person = await app.signUp()
  await add(person, ...numbered(4))
  const first = await get(person, '?limit=2')
  await add(person, 'newer')
  const second = await app.request('GET', String(next(first)), { token: person.accessToken })
  expect([...messages(first), ...messages(second)]).toEqual(numbered(4).reverse())
  expect(next(second)).toBe(undefined)
})

test('200: a cursor of another account shows none of its notices', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  await add(person, 'mine 1', 'mine 2')
  await add(other, 'theirs 1', 'theirs 2', 'theirs 3')
  const target = String(next(await get(other, '?limit=1')))
  const answer = await app.request('GET', target, { token: person.accessToken })
  expect(messages(answer).filter((message) => message.startsWith('theirs'))).toEqual([])
})

test('200: a page reads no more than it shows, however many notices there are', async () => {
  const person = await app.signUp()
  await add(person, ...numbered(10))
  app.resetCalls()
  await get(person, '?limit=1')
  expect(app.calls()).toMatchObject({ dynamodb: { Query: 2 }, writeUnits: 0 })
})

/** One person is shared by all refused requests, because these change nothing. */
let shared: Promise<SignedInPerson> | undefined
const bystander = () => (shared ??= app.signUp())

test.each([
  ['limit=0', 'limit', 'must be 1 to 100'],
  ['limit=101', 'limit', 'must be 1 to 100'],
  ['limit=-1', 'limit', 'must be 1 to 100'],
  ['limit=1e1', 'limit', 'must be 1 to 100'],
  ['limit=01', 'limit', 'must be 1 to 100'],
  ['limit=1&limit=2', 'limit', 'must be 1 to 100'],
  ['cursor=', 'cursor', 'is not valid'],
  ['cursor=x', 'cursor', 'is not valid'],
  [`cursor=${'A'.repeat(24)}`, 'cursor', 'is not valid'],
  ['cursor=%23PROFILE', 'cursor', 'is not valid'],
  ['page=2', 'page', 'is not a field of this request'],
])('400: ?%s', async (query, field, message) => {
  const answer = await get(await bystander(), `?${query}`)
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field, message }])
})

test('401: after the session has ended', async () => {
  const person = await app.signUp()
  await app.request('POST', '/v1/auth/logout', { token: person.accessToken })
  refused(await get(person), 'session_ended')
})

test('503: no answer is guessed while the database is down', async () => {
  const person = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before' })
  const answer = await get(person)
  app.stack.dynamo.clearFaults()
  refused(answer, 'temporarily_unavailable')
})
