import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')

/** Matches references to papers that a reader of the repository does not have. */
const ELSEWHERE: readonly RegExp[] = [
  /\battacks? \d/i,
  /\bseeds? 0\d/i,
  /\bseed['’]s\b/i,
  /\bproduct[ ]rules?\b/i,
  /\b(product|architecture|english|facts|attacks)\.md\b/i,
  /\bissue \d/i,
]

const ignored = readFileSync(join(ROOT, '.gitignore'), 'utf8')
  .split('\n')
  .map((line) => line.replace(/\/$/, ''))
const isOurs = (name: string) => name !== '.git' && !ignored.includes(name) && !name.startsWith('.env.')

/** Every file of the repository, by its path from the root. */
function files(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (!isOurs(entry.name)) return []
    if (entry.isDirectory()) return files(path)
    return entry.isFile() ? [path] : []
  })
}

/** The lines of a text that refer to such a paper. */
const linesElsewhere = (text: string): string[] =>
  text.split('\n').filter((line) => ELSEWHERE.some((words) => words.test(line)))

test('no text refers to a paper outside the repository', () => {
  const all = files()
  expect(all).toEqual(
    expect.arrayContaining(['README.md', 'functions/v1/routes.ts', '.github/CONTRIBUTING.md']),
  )
  const found = all.flatMap((file) =>
    linesElsewhere(readFileSync(join(ROOT, file), 'utf8')).map((line) => `${file}: ${line}`),
  )
  expect(found).toEqual([])
})

test.each([
  `attack ${43}: a username`,
  `Attacks ${34}, 35`,
  `EMCP's account (seed ${'000'})`,
  `the ${'seed'}’s envelope`,
  `(${'product'} rule)`,
  `see ${'english'}.md`,
  `as issue ${10} says`,
])('the search finds a planted reference: %s', (line) => {
  expect(linesElsewhere(`before\n${line}\nafter`)).toEqual([line])
})

test.each(['the seed of an authenticator app', 'SEED = 1', 'runs of seed 12', 'a product that rules'])(
  'the search leaves other words alone: %s',
  (line) => {
    expect(linesElsewhere(line)).toEqual([])
  },
)
