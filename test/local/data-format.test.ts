import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { requireFormat } from './data-format.ts'

function folderWith(files: Record<string, string>): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-data-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return () => requireFormat(folder, join(folder, 'table.db'))
}

test('a new folder, and one that this version has marked, are taken again and again', () => {
  const open = folderWith({ 'clock.json': '{}' })
  open()
  expect(open).not.toThrow()
})

test.each([
  ['an earlier version, which marked none', { 'table.db': 'data' }],
  ['a later version', { 'table.db': 'data', format: '3\n' }],
])('the data of %s stop the start with what to do', (_, files) => {
  expect(folderWith(files)).toThrow(/of another version of Bursar.* Delete the folder to start afresh/)
})
