import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { makeOperator } from '../support/console.ts'

const app = await startApp()

test('200 with every account that is or was an operator, and its role', async () => {
  const list = () => app.request('GET', '/ops/read/operators', { operator: 'read' })
  expect((await list()).body).toEqual({ operators: [] })
  const { accountId, username } = await app.signUp()
  await makeOperator(app, accountId, 'support')
  const addedAt = new Date().toISOString()
  expect((await list()).body).toEqual({
    operators: [{ name: username, accountId, role: 'support', addedAt, removedAt: null }],
  })
})
