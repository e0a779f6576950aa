import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newConsumer } from '../support/quota.ts'

const app = await startApp()
const ROOT = join(import.meta.dirname, '..', '..')

test('README’s lines protect a Hono route as they stand', async () => {
  const [, section = ''] = readFileSync(join(ROOT, 'README.md'), 'utf8').split('## Protect your API\n')
  const [, code = ''] = /^```ts\n([\s\S]*?)^```/m.exec(section) ?? []
  expect(code.trim().split('\n').filter(Boolean).length).toBeLessThanOrEqual(10)

  const folder = mkdtempSync(join(tmpdir(), 'bursar-meter-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  writeFileSync(join(folder, 'service.ts'), code)

  Object.assign(process.env, { BURSAR_URL: app.url })
  const { default: service } = await import(/* @vite-ignore */ join(folder, 'service.ts'))
  const { key } = await newConsumer(app, 5)
  const ask = (headers: Record<string, string>) => service.request('/reports/7', { headers })
  const paid = await ask({ authorization: `Bearer ${key}`, 'idempotency-key': 'mine' })
  expect([paid.status, await paid.json()]).toEqual([200, { report: '7', left: 3 }])
  const again = await ask({ 'x-api-key': key, 'idempotency-key': 'mine' })
  expect([again.status, again.headers.get('x-units-left')]).toEqual([200, '1'])
  expect((await ask({ 'x-api-key': key })).status).toBe(402)
  expect((await ask({})).status).toBe(401)
})
