import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { blockOf, growthBlocks, SIZES } from './page.ts'
import { playEased } from './play.ts'

const PAGE = join(import.meta.dirname, '../../functions/deploy/growth.md')

/** A number of a table, without what marks a limit that is met. */
const numberIn = (text: string): number => Number(text.replace(/[, !]/g, ''))

/** Where two tables differ: in words, or in a number by more than a tenth. Small numbers are left to chance. */
function differences(shown: string, simulated: string): string[] {
  const cells = (text: string) => text.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  const [here, there] = [cells(shown), cells(simulated)]
  if (here.length !== there.length) return [`${here.length} lines instead of ${there.length}`]
  return there.flatMap((row, y) =>
    row.flatMap((cell, x) => {
      const found = here[y]?.[x] ?? ''
      const [a, b] = [numberIn(found), numberIn(cell)]
      const isNear = Math.abs(a - b) <= Math.max(0.1 * Math.abs(b), 20)
      // When a peak came is chance.
      const isSame = found === cell || isNear || /^day \d/.test(cell) || /^-+:?$/.test(cell)
      return isSame ? [] : [`${row[1]}: ${found} instead of ${cell}`]
    }),
  )
}

test('growth.md shows what the simulation says within a tenth; `npm run simulate -- --page` writes it', () => {
  const page = readFileSync(PAGE, 'utf8')
  const blocks = growthBlocks(SIZES.map((accounts) => playEased({ accounts, days: 30, seed: 1 })))
  const found = Object.entries(blocks).flatMap(([name, content]) =>
    differences(blockOf(page, name) ?? '', content).map((line) => `${name}: ${line}`),
  )
  expect(found).toEqual([])
})

test('a number that is a fifth off is noticed', () => {
  const of = (value: string) => `| Mail | ${value} |`
  expect(differences(of('1,200'), of('1,000'))).toEqual(['Mail: 1,200 instead of 1,000'])
  expect(differences(of('1,050'), of('1,000'))).toEqual([])
})
