import { expect, test } from 'vitest'
import { rest } from '../../functions/rest/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()

const update = ({ accessToken: token }: SignedInPerson, apiKey: string, json: object) =>
  app.request('PUT', `/rest/apps/${apiKey}`, { token, json })

const metadataOf = async ({ accessToken: token }: SignedInPerson) =>
  (await app.request('GET', '/v1/keys', { token })).body.at(-1).metadata

test('200: the name and the domain change, and the rest of the metadata stays', async () => {
  const person = await app.signUp()
  const { id } = await createKey(app, person, 'old', { metadata: { team: 'blue' } })
  app.advance(60_000)
  const answer = await update(person, id, { appname: 'new', corsurl: 'a.example' })
  expectContract(rest.updateApp, answer)
  expect(answer.body.content).toMatchObject({
    ...{ appname: 'new', corsurl: 'a.example' },
    ...{ created: '2026-11-21T12:00:00.000Z', update: '2026-11-21T12:01:00.000Z' },
  })
  expect(await metadataOf(person)).toEqual({ team: 'blue', corsurl: 'a.example' })
  expect((await update(person, id, { appname: 'newer', corsurl: '' })).body.content.corsurl).toBe('a.example')
  expect((await update(person, id, { corsurl: null })).body.content).toMatchObject({
    appname: 'newer',
    corsurl: '',
  })
  expect(await metadataOf(person)).toEqual({ team: 'blue' })
})

test('200: two changes at once both count', async () => {
  const person = await app.signUp()
  const { id } = await createKey(app, person)
  const answers = await Promise.all([
    update(person, id, { corsurl: 'a.example' }),
    app.request('PUT', `/v1/keys/${id}`, { token: person.accessToken, json: { scopes: ['read'] } }),
  ])
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  const { body } = await app.request('GET', '/v1/keys', { token: person.accessToken })
  expect(body.at(-1)).toMatchObject({ metadata: { corsurl: 'a.example' }, scopes: ['read'] })
})

test('400 if the metadata has no room, and 404 for another account’s key', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const { id } = await createKey(app, person, 'full', { metadata: { text: 'x'.repeat(1000) } })
  const answer = await update(person, id, { corsurl: 'a.example' })
  expectError(rest.updateApp, answer, 'invalid_request')
  expect(answer.text).toContain('corsurl')
  expectError(rest.updateApp, await update(other, id, { appname: 'mine' }), 'not_found')
})
