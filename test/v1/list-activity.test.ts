import { expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

const activity = async (token: string, query = '') => {
  const answer = await app.request('GET', `/v1/user/activity${query}`, { token })
  expectContract(v1.listActivity, answer)
  return answer
}

test('200: sign-ins, wrong codes and changed keys are listed newest first, with who, when and from where', async () => {
  const person = await app.signUp()
  const { accessToken: token, username, password } = person
  app.advance(1000)
  const wrong = { username, password: `${password}x` }
  expect((await app.request('POST', '/v1/auth/login', { json: wrong })).status).toBe(401)
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }
  expect(
    (await app.request('POST', '/v1/auth/login', { json: { username, password }, headers })).status,
  ).toBe(200)
  app.advance(1000)
  const made = await app.request('POST', '/v1/keys', { json: { name: 'worker' }, token })
  expect(made.status).toBe(201)
  app.advance(1000)
  expect((await app.request('DELETE', `/v1/keys/${made.body.id}`, { token })).status).toBe(204)
  const { body } = await activity(token)
  const entry = {
    id: expect.any(String),
    at: expect.stringMatching(/Z$/),
    ip: '127.0.0.1',
    before: null,
    after: null,
  }
  expect(body.slice(0, 3)).toEqual([
    {
      ...entry,
      action: 'account.key-revoked',
      text: 'An application key was revoked',
      by: 'owner',
      before: { key: made.body.id, last4: made.body.last4 },
    },
    { ...entry, action: 'account.key-created', text: 'You have a new application key', by: 'owner' },
    {
      ...entry,
      action: 'account.signed-in',
      text: 'Signed in',
      by: 'owner',
      after: { device: 'Firefox on Linux', isNewDevice: true, wrongPasswordsBefore: 1 },
    },
  ])
})

test('200: pages lead from the newest entry to the oldest without a gap or a repeat', async () => {
  const { accessToken: token } = await app.signUp()
  for (const name of ['a', 'b', 'c']) {
    app.advance(1000)
    await app.request('POST', '/v1/keys', { json: { name }, token })
  }
  const { body: all } = await activity(token)
  const read = []
  for (let query: string | undefined = '?limit=2'; query !== undefined; ) {
    const { body, headers } = await activity(token, query)
    read.push(...body)
    query = /<\/v1\/user\/activity(.*)>/.exec(headers.get('link') ?? '')?.[1]
  }
  expect(read).toEqual(all)
})
