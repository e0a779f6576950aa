/**
 * `npm run record -- test/v1` runs tests, by default all, and keeps the calls to AWS that functions made in them for
 * `npm run check:infra`. Without names of tests, earlier calls are forgotten.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { functions } from '../../functions/deploy/functions.ts'
import { RECORDED, recordedCalls } from './iam.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const files = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'bursar-calls-'))
const lines = join(folder, 'calls')
try {
  const vitest = ['vitest', 'run', '--config', 'test/vitest.config.ts', ...files]
  const words = ['test/run.mjs', 'DEEP=1', `RECORD_CALLS=${lines}`, ...vitest]
  execFileSync(process.execPath, words, { cwd: ROOT, stdio: 'inherit' })
} finally {
  const made = existsSync(lines) ? readFileSync(lines, 'utf8').split('\n').filter(Boolean) : []
  keep(made.map((line) => line.split('\t')))
  rmSync(folder, { recursive: true })
}

function keep(made: string[][]): void {
  const known = files.length > 0 && existsSync(join(ROOT, RECORDED)) ? recordedCalls() : {}
  const all = Object.fromEntries(
    functions.map(({ name }) => {
      const calls = made.flatMap(([of, call = '']) => (of === name ? [call] : []))
      return [name, [...new Set([...(known[name] ?? []), ...calls])].sort()]
    }),
  )
  // A line for each function, so that a change of one shows as one.
  const entries = Object.entries(all).map((entry) => entry.map((part) => JSON.stringify(part)).join(': '))
  writeFileSync(join(ROOT, RECORDED), `{\n  ${entries.join(',\n  ')}\n}\n`)
}
