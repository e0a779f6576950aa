import { expect, test } from 'vitest'
import { auditWrites } from '../../core/audit/entry.ts'
import { ops } from '../../functions/ops/routes.ts'
import { expectContract } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

/** Records that an operator has acted on an account. */
async function act(name: string, accountId: string): Promise<void> {
  app.advance(1000)
  const deps = {
    ...(await app.ports()),
    origin: { by: 'operator', name, requestId: 'r', ip: '192.0.2.7' } as const,
  }
  const facts = { reason: 'asked on the phone', before: { units: 1 }, after: { units: 2 } }
  await deps.table.transact(auditWrites(deps, { accountId, action: 'operator.added', ...facts }))
}

const ask = (path: string) => app.request('GET', path, { operator: 'read' })

test('200: operators see who helped, why and from where; the owner sees what was done', async () => {
  const { accountId, accessToken: token } = await app.signUp()
  await act('ada', accountId)
  const answer = await ask(`/ops/read/accounts/${accountId}/audit?limit=1`)
  expectContract(ops.auditOfAccount, answer)
  const shown = { action: 'operator.added', by: 'operator', before: { units: 1 }, after: { units: 2 } }
  expect(answer.body).toEqual([
    {
      ...shown,
      id: expect.any(String),
      at: expect.stringMatching(/Z$/),
      text: 'An account was made an operator, or got another role',
      accountId,
      name: 'ada',
      reason: 'asked on the phone',
      requestId: 'r',
      ip: '192.0.2.7',
    },
  ])
  const { body } = await app.request('GET', '/v1/user/activity?limit=1', { token })
  expect(body[0]).toMatchObject({ ...shown, ip: null })
  expect(JSON.stringify(body[0])).not.toMatch(/ada|phone|192/)
})
