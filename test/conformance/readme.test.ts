import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { generated } from '../support/generate.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const page = (file: string) => readFileSync(join(ROOT, file), 'utf8')

test.each(Object.keys(generated()))('%s is what `npm run generate` writes', (file) => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toBe(generated()[file])
})

const PAGES = [
  'README.md',
  'functions/README.md',
  'functions/deploy/README.md',
  'functions/deploy/growth.md',
  'functions/deploy/regions.md',
  'functions/ops/README.md',
  'functions/client/meter/README.md',
  'test/README.md',
  'test/conformance/asvs.md',
  '.github/CONTRIBUTING.md',
  '.github/SECURITY.md',
]

test.each(PAGES)('%s: each link to a file or a heading of the repository leads somewhere', (file) => {
  const links = [...page(file).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
  const lost = links.filter(([, path = '', heading]) => {
    const target = path === '' ? file : join(dirname(file), path)
    if (!existsSync(join(ROOT, target))) return true
    const headings = target.endsWith('.md') && heading ? page(target).match(/^#+ .*$/gm) : undefined
    return headings ? !headings.map(anchorOf).includes(heading ?? '') : false
  })
  expect(lost.map(([link]) => link)).toEqual([])
})

/** A heading as GitHub links to it. */
const anchorOf = (heading: string): string =>
  heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')

test('the README fits into 200 lines', () => {
  expect(page('README.md').trimEnd().split('\n').length).toBeLessThan(200)
})
