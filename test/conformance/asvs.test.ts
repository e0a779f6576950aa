import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** Compares `asvs.md` with the requirements of ASVS 5.0.0 and with the tests that it cites. */

const ROOT = join(import.meta.dirname, '..', '..')

/** The requirements of level 1, and those that level 2 adds, by chapter, as `section.first-last`. */
const REQUIREMENTS: Readonly<Record<string, readonly [one: string, two: string]>> = {
  V1: ['2.1-5 3.1-2 5.1', '1.1-2 2.6-9 3.3-11 4.1-3 5.2'],
  V2: ['1.1 2.1-2 3.1', '1.2-3 2.3 3.2-4 4.1'],
  V3: ['2.1-2 3.1 4.1-2 5.1-3', '3.2-4 4.3-6 5.4-5 7.1-2'],
  V4: ['1.1 4.1', '1.2-3 2.1 3.1-2 4.2-4'],
  V5: ['2.1-2 3.1-2', '1.1 2.3 4.1-3'],
  V6: ['1.1 2.1-8 3.1-2 4.1-2', '1.2-3 2.9-12 3.3-4 4.3-4 5.1-5 6.1-3 8.1-4'],
  V7: ['2.1-4 4.1-2', '1.1-3 3.1-2 4.3-5 5.1-2 6.1-2'],
  V8: ['1.1 2.1-2 3.1', '1.2 2.3 4.1'],
  V9: ['1.1-3 2.1', '2.2-4'],
  V10: ['4.1-5', '1.1-2 2.1-2 3.1-4 4.6-11 5.1-5 6.1-2 7.1-3'],
  V11: ['3.1-2 4.1', '1.1-2 2.1-3 3.3 4.2-4 5.1 6.1'],
  V12: ['1.1 2.1-2', '1.2-3 3.1-4'],
  V13: ['4.1', '1.1 2.1-5 3.1-2 4.2-5'],
  V14: ['2.1 3.1', '1.1-2 2.2-4 3.2-3'],
  V15: ['1.1 2.1 3.1', '1.2-3 2.2-3 3.2-7'],
  V16: ['', '1.1 2.1-5 3.1-4 4.1-3 5.1-3'],
  V17: ['', '1.1 2.1-4 3.1-2'],
}

const idsOf = (chapter: string, ranges: string): string[] =>
  [...ranges.matchAll(/(\d+)\.(\d+)(?:-(\d+))?/g)].flatMap(([, section, first, last = first]) =>
    Array.from(
      { length: Number(last) - Number(first) + 1 },
      (_, nth) => `${chapter}.${section}.${Number(first) + nth}`,
    ),
  )

const levels = Object.entries(REQUIREMENTS).flatMap(([chapter, ranges]) =>
  ranges.flatMap((some, at) => idsOf(chapter, some).map((id) => [id, String(at + 1)])),
)

interface Requirement {
  id: string
  level: string | undefined
  heldBy: string
}

const page = readFileSync(join(import.meta.dirname, 'asvs.md'), 'utf8')

/** The rows of all tables. Those of the API Security Top 10 have no level. */
const requirements: Requirement[] = page
  .split('\n')
  .filter((line) => /^\| (V|API)\d/.test(line))
  .map((line) => {
    const cells = line.slice(2, -2).split(' | ')
    const [id = ''] = cells
    return { id, level: cells.length === 4 ? cells[1] : undefined, heldBy: cells.at(-1) ?? '' }
  })

const kindOf = ({ heldBy }: Requirement): 'held' | 'n/a' | 'open' =>
  heldBy.startsWith('n/a: ') ? 'n/a' : heldBy.startsWith('open: ') ? 'open' : 'held'

type Citation = [file: string, title: string]

const citationsOf = (text: string): Citation[] =>
  [...text.matchAll(/`([\w./-]+)`: "([^"]+)"/g)].map(([, file = '', title = '']) => [file, title])

/** A title of a test or of a group of tests; the same of `test.each`, with its placeholders. */
const TITLE = /(?:\b(?:test|it|describe)|\))\(\s*(['"`])((?:\\.|(?!\1).)+)\1\s*,/gs

/** The guarantee of a rule of the deployment. */
const RULE = /^ {2}(['"])(.+)\1: [\w(]/gm

/** The titles of a file of tests or rules. */
function titlesOf(file: string, source: string): string[] {
  const pattern = /rules\.ts$/.test(file) ? RULE : TITLE
  return [...source.matchAll(pattern)].map(([, , title = '']) => title.replaceAll(/\\(['"`])/g, '$1'))
}

/** What is wrong with a citation: undefined for a title of the file, or for a part that only one title has. */
function mistakeIn([file, title]: Citation): string | undefined {
  const isPage = file.endsWith('.md')
  const path = isPage ? join(ROOT, file) : join(ROOT, 'test', file)
  if (!existsSync(path)) return `${file} does not exist`
  const source = readFileSync(path, 'utf8')
  if (isPage)
    return source.replaceAll(/\s+/g, ' ').includes(title) ? undefined : `${file} does not say: ${title}`
  const titles = titlesOf(file, source)
  if (titles.includes(title)) return undefined
  const having = new Set(titles.filter((each) => each.includes(title)))
  return having.size === 1 ? undefined : `${file} has ${having.size} titles with: ${title}`
}

test('every requirement of levels 1 and 2 is there once, in order, with its level', () => {
  const listed = requirements.filter(({ level }) => level).map(({ id, level }) => [id, level])
  const byChapter = (ids: (string | undefined)[][]) => ids.toSorted(([a = ''], [b = '']) => compared(a, b))
  expect(listed).toEqual(byChapter(levels))
  expect(listed).toHaveLength(253)
})

/** The order of two ids by their numbers. */
function compared(one: string, other: string): number {
  const [a, b] = [one, other].map((id) => id.slice(1).split('.').map(Number))
  return a?.map((part, at) => part - (b?.[at] ?? 0)).find((part) => part !== 0) ?? 0
}

test('the API Security Top 10 of 2023 is there', () => {
  const ids = requirements.filter(({ level }) => !level).map(({ id }) => id)
  expect(ids).toEqual(Array.from({ length: 10 }, (_, nth) => `API${nth + 1}:2023`))
})

test('every citation names one test, rule or sentence that exists', () => {
  const mistakes = requirements.flatMap((requirement) =>
    citationsOf(requirement.heldBy).flatMap((each) => {
      const mistake = mistakeIn(each)
      return mistake === undefined ? [] : [`${requirement.id}: ${mistake}`]
    }),
  )
  expect(mistakes).toEqual([])
})

test('what is held cites what holds it, and everything else says why', () => {
  for (const requirement of requirements) {
    const { id, heldBy } = requirement
    if (kindOf(requirement) === 'held') expect([id, citationsOf(heldBy).length > 0]).toEqual([id, true])
    else expect([id, heldBy]).toEqual([id, expect.stringMatching(/^(n\/a|open): .{8,}/)])
    // A quotation that does not have the form of a citation would not be checked.
    const quotations = heldBy.split('"').length - 1
    expect([id, quotations]).toEqual([id, 2 * citationsOf(heldBy).length])
  }
})

test('the page says how many are held, do not apply and are open', () => {
  const count = (kind: string) => requirements.filter((each) => kindOf(each) === kind).length
  expect(page).toContain(`Held: ${count('held')}. Not applicable: ${count('n/a')}. Open: ${count('open')}.`)
})

test.each([
  ['a title that no test has', 'conformance/tokens.deep.test.ts', 'alg none is accepted'],
  ['a part that several titles have', 'conformance/tokens.deep.test.ts', 'is refused'],
  ['a comment instead of a title', 'conformance/asvs.test.ts', 'The order of two ids'],
  ['a file that does not exist', 'conformance/tokens.test.ts', 'alg none'],
  ['a rule that does not exist', 'infra/rules.ts', 'no permission at all'],
  ['a sentence that a page does not have', 'functions/README.md', 'Passwords expire'],
])('the comparison finds %s', (_, file, title) => {
  expect(mistakeIn([file, title])).toMatch(/titles with|does not/)
})
