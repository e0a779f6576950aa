// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates as text

import { describe, expect, test } from 'vitest'
import { cardBugs } from './card-bugs.ts'
import { type Bug, type Handle, patched, type Sources } from './patch.ts'
import { coreSources } from './plant.ts'
import { purchaseBugs } from './purchase-bugs.ts'
import { quotaBugs } from './quota-bugs.ts'
import { type Token, tokensOf } from './tokens.ts'

const bugs: readonly (Bug & { title: string })[] = [...cardBugs, ...purchaseBugs, ...quotaBugs]

const codeOf = (source = ''): string[] => tokensOf(source).map(({ text }) => text)

const files = [...coreSources.keys()]
const movedFile = (file: string): string => `moved/file-${files.indexOf(file)}.ts`

/** Gives a value and a property of the same name different names, as a rename of one of them does. */
function renamed({ text, role }: Token): string {
  if (role === undefined) return text
  if (role === 'short') return `property_${text}: value_${text}`
  return role === 'value' ? `value_${text}` : `property_${text}`
}

/** `core` with every file and every name renamed, and each token on a line of its own with a comment. */
const renamedSources: Sources = new Map(
  [...coreSources].map(([file, source]) => [
    movedFile(file),
    tokensOf(source).map(renamed).join(' // another comment\n'),
  ]),
)

const plantedIn = (bug: Bug, sources: Sources, nameOf?: (handle: Handle) => string): [string, string][] =>
  [...patched(bug, sources, nameOf)].map(([file, source]) => [file, source])

test('no planted bug is lost: there are at least 23 of cards, 80 of purchases and 69 of the quota', () => {
  const counts = [cardBugs, purchaseBugs, quotaBugs].map(({ length }) => length)
  expect(counts.map((count, at) => count >= ([23, 80, 69][at] ?? 0))).toEqual([true, true, true])
})

describe('a bug changes the code', () => {
  test.each(bugs)('$title', (bug) => {
    const changed = plantedIn(bug, coreSources)
    expect(changed).not.toEqual([])
    for (const [file, source] of changed) expect(codeOf(source)).not.toEqual(codeOf(coreSources.get(file)))
  })
})

describe('a bug can still be planted after every file, function, variable, type and property is renamed', () => {
  const known = new Set([...renamedSources.values()].flatMap(codeOf))
  /** Names of the language that occur only in patches. */
  const UNCHANGED = new Set(['from', 'then', 'catch'])

  test.each(bugs)('$title', (bug) => {
    const changed = plantedIn(bug, renamedSources, ({ name }) => `value_${name}`)
    const names = changed.flatMap(([, source]) => tokensOf(source)).filter(({ role }) => role !== undefined)
    const wrong = names.filter(
      ({ text, role }) => !known.has(text) || !text.startsWith(role === 'value' ? 'value_' : 'property_'),
    )
    expect(
      wrong.map(({ text }) => text).filter((text) => !text.startsWith('$') && !UNCHANGED.has(text)),
    ).toEqual([])
    const expected = plantedIn(bug, coreSources).map(([file, source]) => {
      const imports = source.replace(/(?<= as \$\w+ \} from '\.\.\/)[^']+/g, movedFile)
      const code = tokensOf(imports).flatMap(({ text, role }) =>
        role === 'short' ? [text, ':', text] : [text],
      )
      return [movedFile(file), code]
    })
    const bare = (text: string) => text.replace(/^(?:value|property)_/, '')
    expect(changed.map(([file, source]) => [file, codeOf(source).map(bare)])).toEqual(expected)
  })
})

describe('a patch', () => {
  const source = 'const one = first(1)\nconst two = first(2)\nconst three = second({ two }, 2)\n'
  const result = (bug: Bug, text = source) => patched(bug, new Map([['a.ts', text]])).get('a.ts')

  test('finds its place by everything but names, layout and comments', () => {
    const bug = { find: 'const a = b(2)', put: 'const a = b(3)' }
    expect(result(bug)).toBe(source.replace('first(2)', 'first(3)'))
    expect(result(bug, 'const x /* 1 */ =\n  y(\n    2,\n  )\n')).toBe('const x = y(3)\n')
  })

  test('is refused if no place or more than one place has its shape', () => {
    expect(() => result({ find: 'const a = b(', put: '' })).toThrow('Several places')
    expect(() => result({ find: 'const a = b(4)', put: '' })).toThrow('No place')
    expect(() => result({ find: 'const a = a(2)', put: '' })).toThrow('No place')
  })

  test('is refused if the source does not define one of its names', () => {
    expect(() => result({ find: 'const a = b(2)', put: 'const a = c(2)' })).toThrow('what c is called')
    expect(() => result({ find: 'const a = b(2)', put: 'const a = b.c' })).toThrow('what c is called')
    // A property and a value are renamed independently.
    expect(() => result({ find: 'const a = b(2)', put: 'const a = b.a' })).toThrow('what a is called')
  })

  test('follows a shorthand property that a rename has split', () => {
    const bug = { find: 'b({ a }, 2)', put: 'b({ a }, a)' }
    expect(result(bug)).toContain('second({ two }, two)')
    expect(result(bug, 'other({ two: second }, 2)')).toBe('other({ two: second }, second)')
  })
})

describe('tokens', () => {
  test('of templates are their texts and the code between them, at any depth', () => {
    expect(codeOf('`a ${b(`c ${{ d: 1 }.d}`)} e`')).toEqual([
      ...['`a ${', 'b', '(', '`c ${', '{', 'd', ':', '1', '}', '.', 'd', '}`', ')', '} e`'],
    ])
  })

  test('exclude comments, white space and trailing commas', () => {
    expect(codeOf("f(\n  'a, // b', // c\n  /[/'\"]+/g, /* d */\n)")).toEqual([
      'f',
      '(',
      "'a, // b'",
      ',',
      '/[/\'"]+/g',
      ')',
    ])
  })

  test.each(files)('of core/%s close every bracket that they open', (file) => {
    const open: string[] = []
    for (const text of codeOf(coreSources.get(file))) {
      if (/^[)\]}]/.test(text))
        expect(open.pop()).toBe({ ')': '(', ']': '[' }[text] ?? (text === '}' ? '{' : '`'))
      if (/^[([{]$/.test(text) || /^[`}][\s\S]*\$\{$/.test(text)) open.push(text.length > 1 ? '`' : text)
    }
    expect(open).toEqual([])
  })
})
