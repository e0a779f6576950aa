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

test('200: an operator’s actions are listed on all days or on one, page by page', async () => {
  const { accountId } = await app.signUp()
  await act('grace', accountId)
  await act('grace', accountId)
  app.advance(86_400_000)
  await act('grace', accountId)
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
