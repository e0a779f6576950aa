import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { makeOperator, newOperator } from '../support/console.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const remove = (name: string) =>
  app.request('POST', `/ops/admin/operators/${name}/remove`, {
    operator: 'admin',
    json: { reason: 'leaves the company' },
  })

test('200 bites at the next request; a repeat is answered alike and leaves no second entry', async () => {
  const { accessToken: token, username } = await newOperator(app, 'support')
  const ask = () => app.request('GET', '/console/read/whoami', { token })
  expect((await ask()).body).toEqual({ name: username, role: 'support' })
  const first = await remove(username)
  expect([first.status, first.body.operator.removedAt]).toEqual([200, new Date().toISOString()])
  const { status, body } = await ask()
  expect([status, body.type]).toEqual([403, 'urn:bursar:problem:operator_refused'])
  app.advance(60_000)
  expect((await remove(username)).body).toEqual(first.body)
  expect(await (await app.ports()).table.list('OPERATOR#local-admin', 'AUDIT#')).toHaveLength(1)
})

test('200 again for an account that was made an operator once more', async () => {
  const { accountId, username } = await app.signUp()
  await makeOperator(app, accountId, 'read')
  await remove(username)
  await makeOperator(app, accountId, 'admin')
  expect((await remove(username)).body.operator).toMatchObject({
    role: 'admin',
    removedAt: expect.any(String),
  })
})

test('404 for a name that no operator has had', async () => {
  const { username } = await app.signUp()
  expect((await remove(username)).status).toBe(404)
})
