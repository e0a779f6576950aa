import { expect, test } from 'vitest'
import { changed, digestOf, isDrawn, keyOf, originalOf } from './mutants.ts'
import { score } from './score.ts'

const mutant = {
  id: '7',
  fileName: '/project/core/quota/lots.ts',
  location: { start: { line: 1, column: 9 }, end: { line: 2, column: 7 } },
  mutatorName: 'ConditionalExpression',
  replacement: 'true',
}
const TEXT = 'const a = 1\nconst b = a >\n  floor\nconst c = 2\n'

test('a mutant replaces exactly what it is printed for', () => {
  expect(originalOf(TEXT, mutant)).toBe(' a >\n  floor')
  expect(changed(TEXT, mutant)).toBe('const a = 1\nconst b =true\nconst c = 2\n')
})

test('a seed draws the same mutants each time, and another seed draws others', () => {
  const keys = Array.from({ length: 4000 }, (_, index) => digestOf(String(index)))
  const drawn = (seed: number) => keys.filter((key) => isDrawn(key, seed, 0.1))
  const sample = drawn(1)
  const other = new Set(drawn(2))
  expect(drawn(1)).toEqual(sample)
  expect(Math.abs(sample.length - 400)).toBeLessThan(100)
  expect(sample.filter((key) => other.has(key)).length).toBeLessThan(100)
  expect(keys.filter((key) => isDrawn(key, 1, 1))).toEqual(keys)
})

test('a mutant has the same key in every run, whatever its number', () => {
  expect(keyOf('/project', { ...mutant, id: '8' })).toBe(keyOf('/project', mutant))
  expect(keyOf('/project', { ...mutant, replacement: 'false' })).not.toBe(keyOf('/project', mutant))
})

test('a score says how far it may be off', () => {
  expect(score(90, 10)).toBe('90.0 % (82.6–94.5)')
  expect(score(10, 0)).toBe('100.0 % (72.2–100.0)')
  expect(score(0, 0)).toBe('none run')
})
