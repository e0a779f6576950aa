import { beforeEach, describe, expect, test } from 'vitest'
import { parseAudit } from '../../core/audit/entry.ts'
import { startApp } from '../support/app.ts'
import { newConsumer } from '../support/quota.ts'
import { spendAs } from '../support/services.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const add = (name: string, reason = 'a gateway') =>
  app.request('POST', '/ops/admin/services', { operator: 'admin', json: { name, reason } })
const list = async () => (await app.request('GET', '/ops/read/services', { operator: 'read' })).body.services

const CREDENTIAL = /^bss_[0-9a-f]{64}_[0-9a-f]{16}$/

describe('201', () => {
  test('shows a credential with 256 random bits, which spends, and the list shows only its end', async () => {
    const { key } = await newConsumer(app)
    const { status, body } = await add('gateway')
    const createdAt = new Date().toISOString()
    const shown = {
      name: 'gateway',
      scopes: ['meter'],
      last4: body.credential.slice(-4),
      createdAt,
      revokedAt: null,
    }
    expect([status, body]).toEqual([201, { service: shown, credential: expect.stringMatching(CREDENTIAL) }])
    expect((await spendAs(app, { name: 'gateway', credential: body.credential }, { key })).status).toBe(200)
    expect(await list()).toEqual([shown])
    expect(body.credential.slice(4, 68)).not.toBe((await add('worker')).body.credential.slice(4, 68))
  })

  test('leaves an entry of the operator in the audit log, with the reason', async () => {
    await add('gateway', 'the new gateway of Ada')
    const { table } = await app.ports()
    const [entry] = await table.list('OPERATOR#local-admin', 'AUDIT#')
    expect(parseAudit(entry ?? {})).toMatchObject({
      action: 'operator.service_added',
      by: 'operator',
      name: 'local-admin',
      reason: 'the new gateway of Ada',
      after: { service: 'gateway' },
    })
  })

  test('neither the log nor the table holds the credential', async () => {
    const { credential } = (await add('gateway')).body
    const [, secret = ''] = credential.split('_')
    const { table } = await app.ports()
    const items = [
      ...(await table.list('SERVICES', 'SERVICE#')),
      ...(await table.list('OPERATOR#local-admin', 'AUDIT#')),
    ]
    expect(items).toHaveLength(2)
    expect(JSON.stringify(items)).not.toContain(secret.slice(0, 16))
    expect(app.logs.join('\n')).not.toMatch(/bss_/)
  })
})

test('409 for a name with a live credential; of two requests at once one makes it', async () => {
  const both = await Promise.all([add('gateway'), add('gateway')])
  expect(both.map(({ status }) => status).sort()).toEqual([201, 409])
  expect((await add('gateway')).body.detail).toBe(
    'A service named gateway has a live credential. Choose another name, such as gateway-2, or revoke gateway first.',
  )
  expect(await list()).toHaveLength(1)
})

test.each(['', 'Gateway', 'a b', '-a', 'a#b', `bss_${'0'.repeat(40)}`, 'a'.repeat(41), 'é'])(
  '400 for the name "%s", which is not repeated',
  async (name) => {
    const { status, text } = await add(name)
    expect(status).toBe(400)
    if (name.length > 4) expect(text).not.toContain(name)
    expect(await list()).toEqual([])
  },
)

test.each(['', 'ab', '   ab   ', 'a\u0000bc', 'x'.repeat(501)])('400 for the reason %j', async (reason) => {
  expect((await add('gateway', reason)).status).toBe(400)
  expect(await list()).toEqual([])
})
