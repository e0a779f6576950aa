import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { functions } from '../../functions/deploy/functions.ts'
import { customerRows } from '../../functions/http/rows.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { listen, readBody } from '../local/http.ts'
import { budgets, classOf } from './budgets.ts'
import { builtModule, complaints, discardBundles, type Weight, weigh } from './inspect.ts'
import { collectionsAtStart, ENV } from './measure.ts'

const named = (name: string) => functions.find((fn) => fn.name === name)!

/** One function of each kind. `npm run check:bundles` weighs every function and times the heaviest. */
const SAMPLE = [
  'authorizer',
  'http-health',
  'http-openapi-document',
  'v1-consume',
  'v1-consume-batch',
  'v1-get-user',
  'v1-login',
  'webhooks-stripe',
]

const weights = await weigh(SAMPLE.map(named))
afterAll(discardBundles)
const weightOf = (name: string) => weights.find(({ fn }) => fn.name === name)!

test.each(weights.map((weight) => [weight.fn.name, weight] as const))(
  '%s is within the size limit of its class and contains what its row needs and nothing else',
  (_, weight) => {
    expect(complaints(weight)).toEqual([])
  },
)

test('Stripe is in the package of a function that needs it, and not loaded before the first event', () => {
  const { initPackages, allPackages } = weightOf('webhooks-stripe')
  expect([initPackages.has('stripe'), allPackages.has('stripe')]).toEqual([false, true])
})

test('a function contains its own row and the errors that it can give, and no others', () => {
  const code = readFileSync(builtModule(named('v1-get-user')), 'utf8')
  const held = ['GET /v1/user', 'POST /v1/usage', 'session_ended', 'card_declined'].filter((text) =>
    code.includes(text),
  )
  expect(held).toEqual(['GET /v1/user', 'session_ended'])
})

test('only the function that serves the OpenAPI document contains its texts', () => {
  const carrying = weights.filter(({ texts }) => texts.length > 0)
  expect(carrying.map(({ fn }) => fn.name)).toEqual(['http-openapi-document'])
  // This proves that the search finds the texts.
  expect(weightOf('http-openapi-document').texts.length).toBeGreaterThan(customerRows.length)
  const code = readFileSync(builtModule(named('v1-get-user')), 'utf8')
  expect(code).not.toContain(v1.getUser.summary)
})

test.each<[string, Partial<Weight>, RegExp]>([
  ['weighs too much', { packageKb: 5000 }, /weighs 5000\.0 KB/],
  ['loads too much', { initKb: 5000 }, /loads 5000\.0 KB/],
  ['was not loaded at all', { initKb: 0 }, /nothing of it/],
  ['loads Stripe at once', { initPackages: new Set(['stripe']) }, /loads stripe before/],
  ['carries a description', { texts: ['Spends units'] }, /carries a description: "Spends units/],
  [
    'carries a client that its row does not need',
    { allPackages: new Set(['@aws-sdk/client-sesv2']) },
    /carries @aws-sdk\/client-sesv2/,
  ],
])('a bundle that %s is reported', (_, change, sentence) => {
  expect(complaints({ ...weightOf('v1-get-user'), ...change }).join('\n')).toMatch(sentence)
})

test('a bundle that lacks a client of its row is reported', () => {
  const without = { ...weightOf('v1-login'), allPackages: new Set<string>() }
  expect(complaints(without).join('\n')).toMatch(/lacks @aws-sdk\/client-cognito-identity-provider/)
})

test('the classes and their budgets are the agreed ones', () => {
  const classes = [
    'v1-consume',
    'v1-get-user',
    'webhooks-stripe',
    'v1-login',
    'rest-update-user',
    'http-health',
    'http-openapi-document',
  ]
  expect(classes.map((name) => classOf(named(name)))).toEqual([
    'usage',
    'table',
    'table',
    'identityOrMail',
    'identityOrMail',
    'bare',
    'document',
  ])
  expect(budgets).toMatchObject({
    usage: { initKb: 93, packageKb: 93, ratio: 1.18 },
    table: { initKb: 230, ratio: 1.55 },
    identityOrMail: { initKb: 400, ratio: 1.8 },
  })
})

test('a consume starts with the one garbage collection that an empty handler has', async () => {
  const modules = ['v1-consume', 'v1-consume-batch'].map((name) => builtModule(named(name)))
  const empty = 'data:text/javascript,export const handler = 0'
  const counts = await Promise.all([empty, ...modules].map(collectionsAtStart))
  expect(counts).toEqual([1, 1, 1])
})

/** Starts a bundle as Lambda does, against this DynamoDB. */
async function start(name: string, endpoint: string, more: Record<string, string> = {}) {
  const env = {
    ...ENV,
    AWS_ENDPOINT_URL_DYNAMODB: endpoint,
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    ...more,
  }
  const script = `await import(${JSON.stringify(builtModule(named(name)))}); process.exit()`
  return promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env })
}

test('the first connection to the table is made, and its code run, before the first event', async () => {
  const asked: unknown[] = []
  const database = await listen(async (request, response) => {
    asked.push([request.headers['x-amz-target'], JSON.parse(String(await readBody(request))).Key])
    response.end('{}')
  })
  await start('v1-consume', database.url)
  await database.close()
  expect(asked).toEqual([['DynamoDB_20120810.GetItem', { pk: { S: 'ACCOUNT#0' }, sk: { S: '#PROFILE' } }]])
})

test('a function starts even if the table is unreachable', async () => {
  const { stderr } = await start('v1-consume', 'http://127.0.0.1:9')
  expect(stderr).toBe('')
})

test('the authorizer has its key set before the first token', async () => {
  let asked = 0
  const pool = await listen((_, response) => {
    asked += 1
    response.end(
      JSON.stringify({ keys: [{ kty: 'RSA', use: 'sig', alg: 'RS256', kid: '1', n: 'AQAB', e: 'AQAB' }] }),
    )
  })
  await start('authorizer', 'http://127.0.0.1:9', { JWKS_URI: pool.url })
  await pool.close()
  expect(asked).toBeGreaterThan(0)
})
