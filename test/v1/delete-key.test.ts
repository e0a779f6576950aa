import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey, defaultKey, liveHashes, liveKeys } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const remove = ({ accessToken: token }: SignedInPerson, id: string) =>
  app.request('DELETE', `/v1/keys/${id}`, { token })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.deleteKey, answer, code)

async function ids({ accessToken: token }: SignedInPerson): Promise<string[]> {
  return (await app.request('GET', '/v1/keys', { token })).body.map(({ id }: { id: string }) => id)
}

test('204: the key is no longer listed or accepted, and the other keys still work', async () => {
  const person = await app.signUp()
  const [gone, kept] = [await createKey(app, person), await createKey(app, person)]
  const { status, text } = await remove(person, gone.id)
  expect([status, text]).toEqual([204, ''])
  expect(await ids(person)).toEqual(['default', kept.id])
  const others = [await defaultKey(app, person), kept.key]
  expect(await liveKeys(app, person, [gone.key, ...others])).toEqual(others)
})

test('204: a key that was deleted before, but not a key that never was', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const { id } = await createKey(app, person)
  await remove(person, id)
  expect((await remove(person, id)).status).toBe(204)
  refused(await remove(other, id), 'not_found')
})

test('204: ten concurrent requests delete the key once, which makes room for one new key', async () => {
  const person = await app.signUp()
  const { id } = await createKey(app, person)
  const answers = await Promise.all(Array.from({ length: 10 }, () => remove(person, id)))
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(204))
  const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
  expect(profile?.keyCount).toBe(1)
})

test('409: after concurrent creation, rotation and deletion the keys counted are the keys that work', async () => {
  const person = await app.signUp()
  const [first, second] = [await createKey(app, person), await createKey(app, person)]
  const token = person.accessToken
  const answers = await Promise.all([
    remove(person, first.id),
    app.request('POST', '/v1/keys', { token, json: { name: 'x' } }),
    app.request('POST', `/v1/keys/${first.id}/rotate`, { token }),
    remove(person, second.id),
    app.request('POST', `/v1/keys/${second.id}/rotate`, { token }),
    app.request('POST', '/v1/keys/default/rotate', { token }),
  ])
  for (const { status, body } of answers.filter(({ status }) => status >= 400)) {
    expect([
      [404, 'urn:bursar:problem:not_found'],
      [409, 'urn:bursar:problem:conflict'],
    ]).toContainEqual([status, body.type])
  }
  const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
  const count = (await ids(person)).length
  expect([profile?.keyCount, Object.keys(await liveHashes(app, person)).length]).toEqual([count, count])
})

test('404: an unknown key, and another account’s key, which still works', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const theirs = await createKey(app, other)
  for (const id of [
    '0'.repeat(24),
    theirs.id,
    'DEFAULT',
    '%23QUOTA',
    '__proto__',
    '%20',
    'a'.repeat(2_000),
  ]) {
    refused(await remove(person, id), 'not_found')
  }
  expect(await liveKeys(app, other, [theirs.key])).toEqual([theirs.key])
  expect(await ids(other)).toEqual(['default', theirs.id])
})

test('409: the default key cannot be deleted, even after its rotation or as the last key', async () => {
  const person = await app.signUp()
  refused(await remove(person, 'default'), 'default_key_required')
  await app.request('POST', '/v1/keys/default/rotate', { token: person.accessToken })
  refused(await remove(person, 'default'), 'default_key_required')
  const key = await defaultKey(app, person)
  expect(await liveKeys(app, person, [key])).toEqual([key])
})

test('503: while the database is down the key still works, and a later retry deletes it', async () => {
  const person = await app.signUp()
  const { id, key } = await createKey(app, person)
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  refused(await remove(person, id), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect(await liveKeys(app, person, [key])).toEqual([key])
  expect((await remove(person, id)).status).toBe(204)
})
