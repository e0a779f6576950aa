import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

test('200: anyone gets the whole committed document, and no other service is called', async () => {
  app.resetCalls()
  const { status, body } = await app.request('GET', '/openapi.json')
  const committed = readFileSync(join(import.meta.dirname, '..', '..', 'functions', 'openapi.json'), 'utf8')
  expect([status, body]).toEqual([200, JSON.parse(committed)])
  expect(outsideCalls(app)).toEqual({})
})
