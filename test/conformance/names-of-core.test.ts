import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const CORE = join(import.meta.dirname, '..', '..', 'core')

/**
 * Matches a declaration at the top level of a module, which the formatter puts at the beginning of a line.
 */
const DECLARATION =
  /^(export )?(?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type|enum) (\w+)/gm

/**
 * Names that one module exports and another one declares, exported or not, each with the files of these
 * modules.
 * @param modules sources by file
 */
function namesTwice(modules: Record<string, string>): Record<string, string[]> {
  const files = new Map<string, Set<string>>()
  const exported = new Set<string>()
  for (const [file, source] of Object.entries(modules)) {
    for (const [, isExported, name = ''] of source.matchAll(DECLARATION)) {
      if (isExported) exported.add(name)
      files.set(name, (files.get(name) ?? new Set()).add(file))
    }
  }
  const twice = [...files].filter(([name, inFiles]) => exported.has(name) && inFiles.size > 1)
  return Object.fromEntries(twice.map(([name, inFiles]) => [name, [...inFiles].sort()]))
}

test('the search finds a name that one module exports and another one declares', () => {
  const modules = {
    'a.ts': 'export const units = 1\nconst TRIES = 2\nexport type Run = 1\nexport interface Run2 {}\n',
    'b.ts': 'export async function units() {\n  const Run = 1\n}\nconst TRIES = 3\nclass Run2 {}\n',
  }
  expect(namesTwice(modules)).toEqual({ units: ['a.ts', 'b.ts'], Run2: ['a.ts', 'b.ts'] })
})

test('one name has one meaning: no exported name of core is declared in two of its files', () => {
  const files = readdirSync(CORE, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  expect(files.length).toBeGreaterThan(50)
  const modules = Object.fromEntries(files.map((file) => [file, readFileSync(join(CORE, file), 'utf8')]))
  expect(namesTwice(modules)).toEqual({})
})
