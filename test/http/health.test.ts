import { expect, test } from 'vitest'
import { outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

test('200: says that it is there, to anyone, and asks nobody else', async () => {
  app.resetCalls()
  const { status, body } = await app.request('GET', '/health')
  expect([status, body]).toEqual([200, { status: 'ok' }])
  expect(outsideCalls(app)).toEqual({})
})

test('200: still says so with a token that is worth nothing', async () => {
  expect((await app.request('GET', '/health', { token: 'garbage' })).status).toBe(200)
})
