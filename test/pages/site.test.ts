import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { names } from '../../functions/client/names.ts'
import { routesOf } from '../../functions/deploy/functions.ts'
import { rows } from '../../functions/http/rows.ts'
import { paths as consolePaths } from '../../functions/pages/console/paths.ts'
import { paths } from '../../functions/pages/portal/paths.ts'
import {
  API_PATHS,
  cachingOf,
  fileOf,
  isApiPath,
  pageHeaders,
  STRIPE_JS,
} from '../../functions/pages/site.ts'

const filled = (path: string) => path.replaceAll(/\{[^}]+\}|:\w+/g, 'x')

const apiPaths = rows
  .flatMap(routesOf)
  .map(({ key }) => filled(key.split(' ')[1] ?? ''))
  .filter((path) => !path.endsWith('/'))

test('every route of the API is sent to the API, and every page to its file', () => {
  expect(apiPaths.filter((path) => !isApiPath(path))).toEqual([])
  const pages = [
    ...Object.values(paths),
    ...Object.values(consolePaths),
    '/',
    '/docs',
    '/docs/errors',
    '/console',
  ]
  expect(pages.map(filled).filter(isApiPath)).toEqual([])
})

/** Endpoints of the client that no page of a person has: those of services, of programs and of other dialects. */
const WITHOUT_A_PLACE = [
  'account.register',
  'apps.create',
  'apps.delete',
  'apps.get',
  'apps.update',
  'invoices.history',
  'invoices.last',
  'leases.create',
  'leases.renew',
  'leases.return',
  'reservations.create',
  'reservations.return',
  'reservations.settle',
  'service.health',
  'service.openapi',
  'sessions.loginWithKey',
  'sessions.refresh',
  'usage.balance',
  'usage.consume',
  'usage.consumeBatch',
  'users.get',
  'webhooks.stripe',
]

test('every endpoint of the account has its place in the portal', () => {
  const folder = join(import.meta.dirname, '..', '..', 'functions', 'pages', 'portal')
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join()
  const missing = Object.keys(names).filter((name) => !sources.includes(`client.${name}(`))
  expect(missing.toSorted()).toEqual(WITHOUT_A_PLACE)
})

test('every page keeps browsers on TLS, to its type, and its address to itself', () => {
  const sent = pageHeaders({ stripeJs: STRIPE_JS })
  const [, seconds] = /^max-age=(\d+); includeSubDomains$/.exec(sent['strict-transport-security'] ?? '') ?? []
  expect(Number(seconds)).toBeGreaterThanOrEqual(365 * 86_400)
  expect(sent['x-content-type-options']).toBe('nosniff')
  expect(sent['referrer-policy']).toBe('no-referrer')
})

test('every field of a password hides it, tells password managers what it is, and lets people paste', () => {
  const folder = join(import.meta.dirname, '..', '..', 'functions', 'pages')
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
  const fields = sources.flatMap((source) => source.match(/\{[^{}]*\bname: '(?:\w*P|p)assword'[^{}]*/g) ?? [])
  expect(fields.length).toBeGreaterThanOrEqual(5)
  for (const field of fields) {
    expect(field).toContain("type: 'password'")
    expect(field).toMatch(/autocomplete: '(current|new)-password'/)
    expect(field).not.toMatch(/maxlength|pattern/)
  }
  expect(sources.filter((source) => /\bonpaste\b|['"]paste['"]/i.test(source))).toEqual([])
})

test('no path is sent to the API for nothing', () => {
  const prefixes = API_PATHS.map((path) => path.replaceAll('*', ''))
  expect(
    prefixes.filter((prefix) => !apiPaths.some((path) => path.startsWith(prefix.split('//')[0] ?? prefix))),
  ).toEqual([])
})

test.each([
  ['/', '/index.html'],
  ['/renewal/0193c0ffee00a1b2c3d4e5f6', '/index.html'],
  ['/cards/', '/index.html'],
  ['/console', '/console/index.html'],
  ['/console/', '/console/index.html'],
  ['/console/totals', '/console/index.html'],
  ['/docs', '/docs/index.html'],
  ['/docs/cards', '/docs/cards.html'],
  ['/assets/portal-ABC.js', '/assets/portal-ABC.js'],
])('%s shows the file %s', (path, file) => {
  expect(fileOf(path)).toBe(file)
})

test('assets are kept for a year, because their names change with their contents; pages are asked for each time', () => {
  expect(cachingOf('/assets/portal-ABC.js')).toContain('immutable')
  expect(cachingOf('/index.html')).toBe('no-cache')
})

describe('the policy of pages', () => {
  const policy = (stripeJs: string) => pageHeaders({ stripeJs })['content-security-policy'] ?? ''

  test('allows nothing inline, no frame around a page, and no script but ours and Stripe’s', () => {
    const said = policy(STRIPE_JS)
    expect(said).not.toContain('unsafe')
    // Without a directive of their own, plug-ins go by `default-src`; `<base>` does not.
    expect(said).toContain("default-src 'none'")
    expect(said).not.toContain('object-src')
    expect(said).toContain("base-uri 'none'")
    expect(said).toContain("frame-ancestors 'none'")
    expect(said).toMatch(/script-src 'self' https:\/\/js\.stripe\.com https:\/\/\*\.js\.stripe\.com;/)
  })

  test('names no other origin on the local stack', () => {
    expect(policy('/_local/stripe.js')).not.toContain('https:')
  })
})
