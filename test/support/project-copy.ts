import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')

/**
 * Makes a copy of the sources and the local stack, for tests that change or break sources. Call this at the
 * top of a test file; the copy is removed after the file's last test. Packages are links to the installed
 * packages, except for the scope `without`, which the copy does not have.
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
