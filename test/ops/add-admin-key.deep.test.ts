import { beforeEach, describe, expect, test } from 'vitest'
import { parseAudit } from '../../core/audit/entry.ts'
import { askAs } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { makeOperator } from '../support/console.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const add = (name: string, json: object = {}) =>
  app.request('POST', '/ops/admin/admin-keys', {
    operator: 'admin',
    json: { name, role: 'support', reason: 'the back office', ...json },
  })
const list = async () =>
  (await app.request('GET', '/ops/read/admin-keys', { operator: 'read' })).body.adminKeys

const KEY = /^bsa_[0-9a-f]{64}_[0-9a-f]{16}$/

describe('201', () => {
  test('shows a key with 256 random bits, which works with its role, and the list shows only its end', async () => {
    const { status, body } = await add('crm')
    const shown = {
      name: 'crm',
      role: 'support',
      last4: body.credential.slice(-4),
      createdAt: new Date().toISOString(),
      revokedAt: null,
    }
    expect([status, body]).toEqual([201, { adminKey: shown, credential: expect.stringMatching(KEY) }])
    expect((await askAs(app, body, 'GET', '/users')).status).toBe(200)
    expect(await list()).toEqual([shown])
    expect(body.credential.slice(4, 68)).not.toBe((await add('erp')).body.credential.slice(4, 68))
  })

  test('leaves an entry of the operator in the audit log, with the role and the reason', async () => {
    await add('crm')
    const { table } = await app.ports()
    const [entry] = await table.list('OPERATOR#local-admin', 'AUDIT#')
    expect(parseAudit(entry ?? {})).toMatchObject({
      ...{ action: 'operator.admin_key_added', by: 'operator', name: 'local-admin' },
      ...{ reason: 'the back office', after: { adminKey: 'crm', role: 'support' } },
    })
  })

  test('neither the log nor the table holds the key', async () => {
    const { credential } = (await add('crm')).body
    const [, secret = ''] = credential.split('_')
    await askAs(app, { credential }, 'GET', '/users')
    const { table } = await app.ports()
    const items = [
      ...(await table.list('ADMINKEYS', 'ADMINKEY#')),
      ...(await table.list('OPERATOR#local-admin', 'AUDIT#')),
    ]
    expect(items).toHaveLength(2)
    expect(JSON.stringify(items)).not.toContain(secret.slice(0, 16))
    expect(app.logs.join('\n')).not.toMatch(/bsa_/)
  })
})

test('409 for a name with a live key; of two requests at once one makes it', async () => {
  const both = await Promise.all([add('crm'), add('crm')])
  expect(both.map(({ status }) => status).sort()).toEqual([201, 409])
  expect((await add('crm')).body.type).toBe('urn:bursar:problem:admin_key_exists')
  expect(await list()).toHaveLength(1)
})

test('409 for the name of an account that is an operator, and no account becomes one of the name of a key', async () => {
  const [ada, bob] = [await app.signUp(), await app.signUp()]
  await makeOperator(app, ada.accountId, 'read')
  expect((await add(ada.username)).status).toBe(409)
  expect((await add(bob.username)).status).toBe(201)
  const json = { account: bob.accountId, role: 'read', reason: 'joins' }
  const { status, body } = await app.request('POST', '/ops/admin/operators', { operator: 'admin', json })
  expect([status, body.type]).toEqual([409, 'urn:bursar:problem:operator_exists'])
  // Nor does the removal of an operator find a key.
  const removal = await app.request('POST', `/ops/admin/operators/${bob.username}/remove`, {
    operator: 'admin',
    json: { reason: 'leaves' },
  })
  expect(removal.status).toBe(404)
})

test.each([
  ['the name', '', {}],
  ['the name', 'A b', {}],
  ['the role', 'crm', { role: 'owner' }],
  ['the reason', 'crm', { reason: 'ab' }],
])('400 for %s as in %j with %j', async (_, name, json) => {
  expect((await add(name, json)).status).toBe(400)
  expect(await list()).toEqual([])
})
