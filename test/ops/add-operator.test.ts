import { beforeEach, expect, test } from 'vitest'
import { parseAudit } from '../../core/audit/entry.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const add = (account: string, role = 'support') =>
  app.request('POST', '/ops/admin/operators', {
    operator: 'admin',
    json: { account, role, reason: 'joins the support desk' },
  })
const entries = async () => {
  const { table } = await app.ports()
  return (await table.list('OPERATOR#local-admin', 'AUDIT#')).map(parseAudit)
}

test('200 for an account by its username in any case, its address or its id', async () => {
  for (const by of ['username', 'email', 'accountId'] as const) {
    const person = await app.signUp()
    const { status, body } = await add(by === 'accountId' ? person[by] : person[by].toUpperCase())
    expect([by, status, body.operator]).toEqual([
      by,
      200,
      expect.objectContaining({ accountId: person.accountId, name: person.username, role: 'support' }),
    ])
  }
})

test('200 for another role leaves an entry with both roles; the same role again leaves none', async () => {
  const { accountId } = await app.signUp()
  await add(accountId, 'read')
  app.advance(1)
  await add(accountId, 'admin')
  expect((await add(accountId, 'admin')).status).toBe(200)
  expect(await entries()).toMatchObject([
    { action: 'operator.added', accountId, before: { role: 'none' }, after: { role: 'read' } },
    { action: 'operator.added', accountId, before: { role: 'read' }, after: { role: 'admin' } },
  ])
})

test('the name stays that of the account, whatever its username becomes, and no other account gets it', async () => {
  const person = await app.signUp()
  await add(person.accountId)
  const json = { username: `other-${person.username}` }
  await app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json })
  expect((await add(person.accountId, 'admin')).body.operator.name).toBe(person.username)
  const next = await app.signUp({ username: person.username })
  const { status, body } = await add(next.accountId)
  expect([status, body.type]).toEqual([409, 'urn:bursar:problem:operator_exists'])
})

test('404 for an account whose address nobody has confirmed, because it may still move to another one', async () => {
  const person = newPerson()
  await app.register(person)
  for (const account of [person.username, person.email]) expect((await add(account)).status).toBe(404)
  expect(await entries()).toEqual([])
})

test('404 for an unknown account, and for one that is not active', async () => {
  for (const account of ['nobody', 'nobody@mail.example', 'f'.repeat(24)])
    expect([account, (await add(account)).status]).toEqual([account, 404])
  const { accessToken: token, accountId } = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token })
  expect((await add(accountId)).status).toBe(404)
  expect(await entries()).toEqual([])
  expect(await (await app.ports()).table.get({ pk: 'OPERATORS', sk: keys.account(accountId) })).toBe(
    undefined,
  )
})
