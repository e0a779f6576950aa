import { expect, test } from 'vitest'
import { outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

test('200: anyone gets an answer, and no other service is called', async () => {
  app.resetCalls()
  const { status, body } = await app.request('GET', '/health')
  expect([status, body]).toEqual([200, { status: 'ok' }])
  expect(outsideCalls(app)).toEqual({})
})

test('200: an invalid token makes no difference', async () => {
  expect((await app.request('GET', '/health', { token: 'garbage' })).status).toBe(200)
})
