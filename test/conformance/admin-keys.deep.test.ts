import { beforeEach, describe, expect, test } from 'vitest'
import { parseAudit } from '../../core/audit/entry.ts'
import { REMEMBERED_MS } from '../../core/keys/credential-cache.ts'
import { mayAct, ROLES, type Role } from '../../core/operators/operator.ts'
import type { Placed } from '../../functions/http/route.ts'
import { adminKeyRows } from '../../functions/http/rows.ts'
import { entriesOf, newAdminKey, revokeKey, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { adminKeyToken } from '../support/operators.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import { expectError, targetOf } from './contract.ts'

/** What a program may do with an admin key, at every row that takes one. */

const app = await startApp()
beforeEach(app.startAfresh)

async function sendSample(row: Placed, { credential }: TestAdminKey) {
  const { path, query, body } = await sampleOf(app, row, await app.signUp())
  const [method, target] = targetOf(row.routes[0], path)
  const asked = query ? `${target}?${new URLSearchParams(query)}` : target
  return app.request(method, asked, { token: adminKeyToken(credential), ...(body && { json: body }) })
}

const isReading = ({ routes }: Placed) => routes[0].startsWith('GET ')

describe.each(adminKeyRows.map((row) => [rowKey(row), row] as const))('%s', (_, row) => {
  test('2xx for a key of its role and of every higher one', async () => {
    for (const role of ROLES.filter((each) => mayAct(each, row.role as Role))) {
      const { status } = await sendSample(row, await newAdminKey(app, role))
      expect([role, status < 300]).toEqual([role, true])
    }
  })

  test('a change leaves an entry under the name of the key, with a reason; a reading leaves none', async () => {
    const key = await newAdminKey(app, 'admin')
    const { headers } = await sendSample(row, key)
    const entries = (await entriesOf(app, key)).map(parseAudit)
    if (isReading(row)) return expect(entries).toEqual([])
    expect(entries).toEqual([
      expect.objectContaining({
        ...{ by: 'operator', name: key.name, reason: 'A sample' },
        requestId: headers.get('apigw-requestid'),
      }),
    ])
  })

  test('401 once the key is revoked: at once in a new container, and within 30 seconds everywhere', async () => {
    const [unseen, seen] = [await newAdminKey(app, 'admin'), await newAdminKey(app, 'admin')]
    expect((await sendSample(row, seen)).status).toBeLessThan(300)
    await revokeKey(app, unseen)
    await revokeKey(app, seen)
    expectError(row, await sendSample(row, unseen), 'admin_key_refused')
    app.advance(REMEMBERED_MS)
    expectError(row, await sendSample(row, seen), 'admin_key_refused')
  })
})
