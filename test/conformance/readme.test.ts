import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { generated } from '../support/generate.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const page = (file: string) => readFileSync(join(ROOT, file), 'utf8')

const written = generated()

test.each(Object.keys(written))('%s is what `npm run generate` writes', (file) => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toBe(written[file])
})

test('the README fits into 200 lines', () => {
  expect(page('README.md').trimEnd().split('\n').length).toBeLessThan(200)
})
