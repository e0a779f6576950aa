import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildPages, type Pages } from '../../functions/deploy/build-pages.ts'

let pages: Pages
beforeAll(async () => {
  pages = await buildPages()
})

/** The scripts that a page has loaded when it is first shown: its own, and those of the modules that it then imports. */
function loadedBy(...modules: string[]): Set<string> {
  const found = new Set<string>()
  const visit = (path: string) => {
    if (found.has(path)) return
    found.add(path)
    for (const { path: next, kind } of pages.outputs[path]?.imports ?? []) {
      if (kind !== 'dynamic-import') visit(next.replace(/^.*?assets\//, 'assets/'))
    }
  }
  for (const [path, { entryPoint, cssBundle }] of Object.entries(pages.outputs)) {
    if (!entryPoint || !modules.includes(entryPoint)) continue
    visit(path)
    if (cssBundle) found.add(cssBundle.replace(/^.*?assets\//, 'assets/'))
  }
  return found
}

const weight = (paths: Iterable<string>) =>
  [...paths].reduce((sum, path) => sum + gzipSync(pages.files.get(`/${path}`) ?? '').length, 0)

const PORTAL = 'functions/pages/portal'

test.each(['sign-in', 'overview'])('the portal shows the page %s after at most 40 KB, compressed', (name) => {
  const first = loadedBy(`${PORTAL}/main.tsx`, `${PORTAL}/messages/de.ts`, `${PORTAL}/pages/${name}.tsx`)
  expect([...first].some((path) => path.endsWith('.css'))).toBe(true)
  expect(weight(['index.html', ...first])).toBeLessThan(40 * 1024)
})

test('everything of the console together has at most 84 KB, compressed', () => {
  const all = Object.keys(pages.outputs).filter((path) => /\.(js|css)$/.test(path))
  const portal = loadedBy(`${PORTAL}/main.tsx`)
  const own = all.filter((path) => {
    const inputs = Object.keys(pages.outputs[path]?.inputs ?? {})
    return portal.has(path) || inputs.some((input) => input.startsWith('functions/pages/console/'))
  })
  // A page with its texts in two languages takes 3 KB. A browser loads one language, and a page once it is opened.
  expect(weight(own)).toBeLessThan(84 * 1024)
})

describe('the reference', () => {
  const html = (path: string) => new TextDecoder().decode(pages.files.get(path))

  test('needs no script to be read', () => {
    const docs = [...pages.files.keys()].filter((path) => path.startsWith('/docs/'))
    expect(docs).toContain('/docs/index.html')
    for (const path of docs) expect(html(path)).not.toContain('<script')
  })

  test('has every link within itself lead to an anchor', () => {
    const docs = [...pages.files.keys()].filter((path) => path.startsWith('/docs/'))
    const anchors = new Set(
      docs.flatMap((file) => {
        const page = file.replace(/(\/index)?\.html$/, '')
        return [page, ...[...html(file).matchAll(/ id="([^"]+)"/g)].map(([, id]) => `${page}#${id}`)]
      }),
    )
    const broken = docs.flatMap((file) => {
      const page = file.replace(/(\/index)?\.html$/, '')
      const links = [...html(file).matchAll(/href="((?:\/docs|#)[^"]*)"/g)].map(([, link = '']) => link)
      return links
        .map((link) => (link.startsWith('#') ? page + link : link))
        .filter((link) => !anchors.has(link))
    })
    expect(broken).toEqual([])
  })
})

test('no page has anything inline, which the policy of its headers forbids', () => {
  for (const [path, contents] of pages.files) {
    if (!path.endsWith('.html')) continue
    const text = new TextDecoder().decode(contents)
    expect(text).not.toMatch(/<script(?![^>]*\bsrc=)/)
    expect(text).not.toMatch(/<style| style="| on\w+="/)
  }
})
