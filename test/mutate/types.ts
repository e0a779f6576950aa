/** Which survivors the type checker refuses: `npm run check` notices those before any test runs. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { changed } from './mutants.ts'
import type { Found } from './reporter.ts'

/** Something is not used any more. No mutant counts as noticed for that. */
const UNUSED = ['TS6133', 'TS6138', 'TS6192', 'TS6196', 'TS6198']

/** The mutants among these with which their own file does not compile. */
export function refusedByTypes(root: string, survivors: Found[]): Set<Found> {
  const refused = new Set<Found>()
  if (survivors.length === 0) return refused
  const copy = mkdtempSync(join(tmpdir(), 'bursar-types-'))
  try {
    for (const part of ['core', 'functions', 'test', 'package.json', 'tsconfig.json']) {
      cpSync(join(root, part), join(copy, part), { recursive: true })
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
    let left = survivors
    while (left.length > 0) {
      // One mutant of each file at a time.
      const round = [...new Map(left.map((each) => [each.file, each])).values()]
      left = left.filter((each) => !round.includes(each))
      for (const { file, mutant } of round) {
        writeFileSync(join(copy, file), changed(readFileSync(join(root, file), 'utf8'), mutant))
      }
      const { stdout } = spawnSync('node', ['node_modules/typescript/bin/tsc', '--pretty', 'false'], {
        cwd: copy,
        encoding: 'utf8',
      })
      const faulty = new Set(
        [...stdout.matchAll(/^(\S+)\(\d+,\d+\): error (TS\d+)/gm)]
          .filter(([, , code = '']) => !UNUSED.includes(code))
          .map(([, file]) => file),
      )
      for (const each of round) {
        if (faulty.has(each.file)) refused.add(each)
        cpSync(join(root, each.file), join(copy, each.file))
      }
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
  return refused
}
