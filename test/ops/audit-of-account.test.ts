import { expect, test } from 'vitest'
import { ops } from '../../functions/ops/routes.ts'
import { expectContract } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { recordAction } from '../support/operated.ts'

const app = await startApp()

const ask = (path: string) => app.request('GET', path, { operator: 'read' })

test('200: operators see who helped, why and from where; the owner sees what was done', async () => {
  const { accountId, accessToken: token } = await app.signUp()
  await recordAction(app, 'ada', accountId)
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
