import { describe, expect, test } from 'vitest'
import { http } from '../../functions/http/routes.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { startApp } from '../support/app.ts'
import type { TestAnswer } from '../support/send.ts'
import { type Finding, fuzzRoute, makeOthers, reportOf } from './fuzz.ts'
import { operations } from './operations.ts'
import { faultOf, type Secrets } from './verdict.ts'

/** The fuzzer itself. `npm run check` runs it over every route: `first-half` and `second-half.deep.test.ts`. */

const app = await startApp()

const routed = (route: string) => operations.find((each) => each.route === route)!

async function digestOf(route: string, seed: number): Promise<string> {
  await app.startAfresh()
  return (await fuzzRoute(app, routed(route), await makeOthers(app), { seed, perRoute: 40 })).digest
}

test.each(['POST /v1/usage', 'PUT /v1/user/renewal', 'POST /rest/users', 'GET /ops/read/accounts'])(
  'a seed stands for one sequence of requests and verdicts: %s',
  async (route) => {
    const first = await digestOf(route, 7)
    expect(await digestOf(route, 7)).toBe(first)
    expect(await digestOf(route, 8)).not.toBe(first)
  },
)

const SECRETS: Secrets = { always: { 'a secret': 'hunter2' }, ofOthers: { 'a name': 'Bob' } }
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'content-type': 'application/json',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
}
const answerOf = (status: number, body: unknown, headers: Record<string, string> = {}): TestAnswer => ({
  status,
  headers: new Headers({ ...HEADERS, ...headers }),
  text: JSON.stringify(body),
  body,
})
const verdict = (answer: TestAnswer, row: Parameters<typeof faultOf>[0] = v1.balance) =>
  faultOf(row, { headers: [] }, answer, SECRETS)

describe('a verdict', () => {
  test.each([
    ['an error of the server', answerOf(500, { message: 'Internal Server Error' }), /^answered 500/],
    ['an unavailable service', answerOf(503, {}), /^answered 503/],
    ['a status that is not declared', answerOf(418, {}), /^does not answer what its document says/],
    ['a field that is not declared', answerOf(200, { left: 1, pk: 'x' }), /^does not answer/],
    [
      'a text of the gateway under another status',
      answerOf(404, { message: 'Forbidden' }),
      /^does not answer/,
    ],
    ['a secret in a body', answerOf(200, { left: 'HUNTER2' }), /^shows a secret$/],
    ['a secret in a header', answerOf(403, {}, { link: '</hunter2>' }), /^shows a secret$/],
    ['the data of another account', answerOf(200, { name: 'bob' }), /^shows a name$/],
  ])('finds %s', (_, answer, fault) => {
    expect(verdict(answer)).toMatch(fault)
  })

  test('lets the gateway answer by itself', () => {
    expect(verdict(answerOf(403, { message: 'Forbidden' }))).toBeUndefined()
  })

  test('has nothing against what is declared', () => {
    expect(verdict(answerOf(200, { status: 'ok' }), http.health)).toBeUndefined()
  })
})

test('a finding says how to see it again, as curl and by its seed', () => {
  const request = {
    method: 'POST',
    target: '/v1/usage?a=1',
    headers: [['x-a', "it's"]] as Finding['request']['headers'],
    body: '{"units":1}',
    changes: ['field units: 1'],
  }
  const finding = {
    route: 'POST /v1/usage',
    nth: 4,
    request,
    answer: { status: 500, text: '{}' },
    fault: 'broke',
  }
  expect(reportOf(finding, 9, 'http://127.0.0.1:1')).toBe(
    [
      'POST /v1/usage broke',
      'seed 9, request 4 of the route: field units: 1',
      `curl -i -X POST \\\n  -H 'x-a: it'\\''s' \\\n  --data-binary '{"units":1}' \\\n  'http://127.0.0.1:1/v1/usage?a=1'`,
      'answer 500: {}',
      "See it again: npm run fuzz -- --seed 9 --requests 5 --route 'POST /v1/usage'",
      'Put the request into test/fuzz/found.test.ts, and mend what it shows.',
    ].join('\n'),
  )
})
