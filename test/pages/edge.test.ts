import { createContext, runInContext } from 'node:vm'
import { expect, test } from 'vitest'
import { buildEdgeFunction } from '../../functions/deploy/build-pages.ts'
import { routesOf } from '../../functions/deploy/functions.ts'
import { apiPatterns } from '../../functions/deploy/site.ts'
import { rows } from '../../functions/http/rows.ts'
import { paths as consolePaths } from '../../functions/pages/console/paths.ts'
import { paths } from '../../functions/pages/portal/paths.ts'
import { fileOf, isApiPath } from '../../functions/pages/site.ts'

const filled = (path: string) => path.replaceAll(/\{[^}]+\}|:\w+/g, 'x')
const pages = [...Object.values(paths), ...Object.values(consolePaths), '/', '/docs', '/docs/cards'].map(
  filled,
)

const code = await buildEdgeFunction()

test('CloudFront shows the same file for each path as the local stack', () => {
  const { handler } = runInContext(`${code}; ({ handler })`, createContext({}))
  for (const path of [...pages, '/assets/portal-ABC.js'])
    expect(handler({ request: { uri: path } })).toEqual({ uri: fileOf(path) })
})

test('CloudFront’s function is a plain script of at most 10 KB, in syntax that its runtime knows', () => {
  expect(code.length).toBeLessThan(10_240)
  expect(code).toMatch(/^function handler\(event\) \{$/m)
  expect(code).not.toMatch(/\b(import|export|require|class|for|API_PATHS)\b|\.\.\.|\?\.|\?\?|const [[{]/)
})

test('CloudFront passes the same paths to the API as the local stack', () => {
  const patterns = apiPatterns.map(
    (pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('?', '.').replaceAll('*', '.*')}$`),
  )
  const routes = rows.flatMap(routesOf).map(({ key }) => filled(key.split(' ')[1] ?? ''))
  for (const path of [...routes, ...pages, '/console/', '/console/totals/', '/v1', '/v1/', '/health/'])
    expect([path, patterns.some((one) => one.test(path))]).toEqual([path, isApiPath(path)])
})
