import { expect, test } from 'vitest'
import { rest } from '../../functions/rest/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { liveKeys } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()

const create = ({ accessToken: token }: SignedInPerson, json: object, headers = {}) =>
  app.request('POST', '/rest/apps', { token, json, headers })

test('201: a key in Skylink’s envelope, which works, and which GET /v1/keys lists with its domain', async () => {
  const person = await app.signUp()
  const answer = await create(person, { appname: 'Chat', corsurl: 'chat.example.com' })
  expect(answer.status).toBe(201)
  expectContract(rest.createApp, answer)
  const { key, ...content } = answer.body.content
  const now = '2026-11-21T12:00:00.000Z'
  expect(content).toEqual({
    ...{ appid: expect.stringMatching(/^[0-9a-f]{24}$/), appname: 'Chat', corsurl: 'chat.example.com' },
    ...{ created: now, update: now, deleted: false, parent: 'root' },
  })
  expect(await liveKeys(app, person, [key])).toEqual([key])
  const listed = await app.request('GET', '/v1/keys', { token: person.accessToken })
  expect(listed.body.at(-1)).toMatchObject({
    id: content.appid,
    name: 'Chat',
    metadata: { corsurl: 'chat.example.com' },
  })
})

test('201: a form does the same, and an empty domain is none', async () => {
  const { accessToken: token } = await app.signUp()
  const answer = await app.request('POST', '/rest/apps/', {
    token,
    body: '?&appname=Chat&corsurl=',
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' },
  })
  expect([answer.status, answer.body.content.corsurl]).toEqual([201, ''])
})

test('201: the same Idempotency-Key makes one key, and shows it again', async () => {
  const person = await app.signUp()
  const ask = () => create(person, { appname: 'Chat' }, { 'idempotency-key': 'k' })
  const [first, second] = [await ask(), await ask()]
  expect(second.body).toEqual({ ...first.body, replayed: true })
  expect(second.headers.get('idempotent-replayed')).toBe('true')
})

test('409 beyond eight keys, and 400 for a domain with spaces', async () => {
  const person = await app.signUp()
  expectError(rest.createApp, await create(person, { appname: 'a', corsurl: 'a b' }), 'invalid_request')
  for (let nth = 0; nth < 7; nth++) expect((await create(person, { appname: `app ${nth}` })).status).toBe(201)
  expectError(rest.createApp, await create(person, { appname: 'another' }), 'key_limit_reached')
})
