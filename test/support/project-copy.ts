import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')

/**
 * A copy of what runs on a developer's machine, for tests that change or break its sources. To be called at the top
 * of a test file, after whose last test it is removed. Packages are links to the installed ones, but for the scope
 * that is left out.
 */
export function copyProject(options: { without?: string } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-copy-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  for (const part of ['package.json', 'core', 'functions', 'test/local']) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true })
  }
  mkdirSync(join(folder, 'node_modules'))
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (name === options.without) continue
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  }
  return folder
}
