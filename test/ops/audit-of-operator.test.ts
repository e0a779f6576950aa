import { expect, test } from 'vitest'
import { ops } from '../../functions/ops/routes.ts'
import { expectContract } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { recordAction } from '../support/operated.ts'

const app = await startApp()

const ask = (path: string) => app.request('GET', path, { operator: 'read' })

test('200: an operator’s actions are listed on all days or on one, page by page', async () => {
  const { accountId } = await app.signUp()
  await recordAction(app, 'grace', accountId)
  await recordAction(app, 'grace', accountId)
  app.advance(86_400_000)
  await recordAction(app, 'grace', accountId)
  const days = async (query: string) => {
    const answer = await ask(`/ops/read/operators/grace/audit${query}`)
    expectContract(ops.auditOfOperator, answer)
    return answer
  }
  const { body: all } = await days('')
  expect(all.map(({ at }: { at: string }) => at.slice(0, 10))).toEqual([
    '2026-11-22',
    '2026-11-21',
    '2026-11-21',
  ])
  const { body: first, headers } = await days('?day=2026-11-21&limit=1')
  const next = /<([^>]*)>/.exec(headers.get('link') ?? '')?.[1] ?? ''
  const second = await ask(next)
  expect([...first, ...second.body]).toEqual(all.slice(1))
  expect(second.headers.get('link')).toBeNull()
  expect((await ask(next.replace('2026-11-21', '2026-11-22'))).body.errors).toEqual([
    { field: 'cursor', message: 'must be of the same day' },
  ])
})
