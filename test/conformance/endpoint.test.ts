import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import * as z from 'zod/mini'
import { DomainError } from '../../core/errors.ts'
import { endpoint, reply } from '../../functions/http/endpoint.ts'
import type { Placed } from '../../functions/http/route.ts'

/*
 * The stack around a handler, with rows of its own that need no service.
 */

let lines: Record<string, unknown>[] = []
beforeEach(() => {
  lines = []
  vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(JSON.parse(line)))
})
afterEach(() => vi.restoreAllMocks())

const ROW = {
  ...{ dialect: 'v1', name: 'aRow', file: 'a-row', routes: ['POST /v1/a'], summary: 'Does something' },
  ...{ auth: 'public', errors: [], needs: [] },
  responses: { 200: z.object({ told: z.string() }) },
} as const satisfies Placed

const REQUEST = { requestId: 'the-request', http: { sourceIp: '192.0.2.1' } }

type Row = Omit<Partial<Placed>, 'auth' | 'role'>
type Answer = { statusCode: number; headers: Record<string, string>; body?: string }

/** Sends a request to a row whose handler is `handle`. */
async function send(row: Row, event: object = {}, handle: unknown = async () => ({ told: 'yes' })) {
  const handler = endpoint({ ...ROW, ...row } as typeof ROW, handle as never)
  const whole = { headers: {}, isBase64Encoded: false, requestContext: REQUEST, ...event }
  const { statusCode, headers, body, ...more } = (await handler(whole as never, {} as never)) as Answer
  return { status: statusCode, headers, body: body === undefined ? undefined : JSON.parse(body), ...more }
}

const json = (value: unknown) => ({
  ...{ headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) },
})
const failing = (error: unknown) => () => Promise.reject(error)

const SECURITY = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
}

describe('an answer', () => {
  test('has the status of its row, the headers of every answer, and what the schema declares', async () => {
    const answer = await send({}, {}, async () => ({ told: 'yes', hidden: 'no' }))
    expect(answer).toEqual({
      ...{ status: 200, body: { told: 'yes' } },
      headers: { ...SECURITY, 'content-type': 'application/json' },
    })
  })

  test('of another type than its schema says is a 500 that says nothing of it', async () => {
    const { status, body } = await send({}, {}, async () => ({ told: 7 }))
    expect([status, body.type]).toEqual([500, 'urn:bursar:problem:internal_error'])
  })

  test('may choose one of several statuses, and headers of its own', async () => {
    const row = { responses: { ...ROW.responses, 202: z.object({ id: z.string() }) } }
    const answer = await send(row, {}, async () => reply(202, { id: 'x' }, { link: 'y' }))
    expect([answer.status, answer.body, answer.headers.link]).toEqual([202, { id: 'x' }, 'y'])
  })

  test('without a body has no type, and all other headers', async () => {
    const answer = await send({ responses: { 204: null } }, {}, async () => undefined)
    expect(answer).toEqual({ status: 204, headers: SECURITY, body: undefined })
    const replayed = async () => reply(204, undefined, { 'idempotent-replayed': 'true' })
    const { headers } = await send({ responses: { 204: null } }, {}, replayed)
    expect(headers['idempotent-replayed']).toBe('true')
  })

  test('is kept by nobody, unless its row says for how long', async () => {
    expect((await send({ maxAgeSeconds: 60 })).headers['cache-control']).toBe('public, max-age=60')
  })

  test('says in headers whether it is a repeat, and where the key stands with its limit', async () => {
    const rate = { burst: 10, windowSeconds: 5, left: 3, nextSeconds: 1 }
    const { headers } = await send({}, {}, async () => ({ told: 'yes', replayed: true, rate }))
    expect(headers).toMatchObject({
      ...{ 'idempotent-replayed': 'true', 'ratelimit-policy': '"key";q=10;w=5', ratelimit: '"key";r=3;t=1' },
    })
    expect((await send({})).headers).not.toHaveProperty('idempotent-replayed')
  })
})

describe('a request', () => {
  test('shows its handler what the row declares, parsed', async () => {
    const handle = vi.fn(async () => ({ told: 'yes' }))
    const row = {
      ...{ path: z.object({ id: z.string() }), query: z.object({ page: z.optional(z.string()) }) },
      ...{ headers: z.object({ 'x-a': z.string() }), body: z.object({ name: z.string() }) },
    }
    const { headers, body } = json({ name: 'ada', more: 1 })
    const event = { pathParameters: { id: 'i' }, headers: { ...headers, 'x-a': 'b', 'x-c': 'd' }, body }
    expect((await send(row, event, handle)).status).toBe(200)
    expect(handle.mock.calls).toMatchObject([
      [{ path: { id: 'i' }, query: {}, headers: { 'x-a': 'b' }, body: { name: 'ada' }, caller: undefined }],
    ])
    const paged = { ...event, queryStringParameters: { page: '2' } }
    await send(row, paged, handle)
    expect(handle.mock.calls.at(-1)).toMatchObject([{ query: { page: '2' } }])
  })

  test('without parameters is refused where the row needs one', async () => {
    for (const row of [{ path: z.object({ id: z.string() }) }, { query: z.object({ id: z.string() }) }]) {
      const { status, body } = await send(row)
      expect([status, body.errors]).toEqual([400, [{ field: 'id', message: 'is required' }]])
    }
  })

  test('has no body where the row takes none; an empty object is none', async () => {
    for (const value of [{ a: 1 }, [], [1], 'x', 7, null]) {
      const { status, body } = await send({}, json(value))
      expect([value, status, body.errors]).toEqual([
        ...[value, 400, [{ field: 'body', message: 'must be empty here' }]],
      ])
    }
    expect((await send({}, json({}))).status).toBe(200)
  })

  test('comes unparsed where the row says so', async () => {
    const handle = vi.fn(async () => ({ told: 'yes' }))
    await send({ raw: true }, { headers: {}, body: '{"a":' }, handle)
    expect(handle.mock.calls).toMatchObject([[{ body: Buffer.from('{"a":') }]])
    const most = await send({ raw: true }, { body: 'x'.repeat(1_048_576) }, handle)
    const more = await send({ raw: true }, { body: 'x'.repeat(1_048_577) }, handle)
    expect([most.status, more.status]).toEqual([200, 413])
  })

  test('comes as a form only where the row takes one', async () => {
    const form = {
      ...{ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'name=ada' },
    }
    const row = { body: z.object({ name: z.string() }) }
    expect((await send(row, form)).status).toBe(415)
    expect((await send({ ...row, form: true }, form)).status).toBe(200)
  })

  test('to a path with more behind the slash than the route has is none of the row’s', async () => {
    const handle = vi.fn(async () => ({ told: 'yes' }))
    const answer = await send({}, { pathParameters: { slash: 'more' } }, handle)
    expect(answer).toEqual({
      ...{ status: 404, body: { message: 'Not Found' } },
      headers: { ...SECURITY, 'content-type': 'application/json' },
    })
    expect(handle).not.toHaveBeenCalled()
    expect((await send({}, { pathParameters: { slash: '' } }, handle)).status).toBe(200)
  })

  test('is that of anyone, in the audit log', async () => {
    let origin: unknown
    await send({}, {}, async ({ deps }: { deps: { origin: unknown } }) => {
      ;({ origin } = deps)
      return { told: 'yes' }
    })
    expect(origin).toEqual({ by: 'anyone', requestId: 'the-request', ip: '192.0.2.1' })
  })
})

describe('an error', () => {
  test('is a problem with the request’s id, and the headers of every answer', async () => {
    const answer = await send({}, {}, failing(new DomainError('conflict', { detail: 'Too late.' })))
    expect(answer).toEqual({
      status: 409,
      headers: { ...SECURITY, 'content-type': 'application/problem+json' },
      body: {
        ...{ type: 'urn:bursar:problem:conflict', title: 'Conflict', status: 409, detail: 'Too late.' },
        requestId: 'the-request',
      },
    })
  })

  test('says how to authenticate, only if that helps', async () => {
    const challengeOf = async (code: ConstructorParameters<typeof DomainError>[0]) =>
      (await send({}, {}, failing(new DomainError(code)))).headers['www-authenticate']
    expect(await challengeOf('unauthorized')).toBe('Bearer')
    expect(await challengeOf('token_expired')).toBe('Bearer error="invalid_token"')
    expect(await challengeOf('admin_key_refused')).toBe('Api-Key')
    expect(await challengeOf('account_suspended')).toBeUndefined()
  })

  test('says when to try again, at once included', async () => {
    const waitOf = async (error: DomainError) => {
      const { headers, body } = await send({}, {}, failing(error))
      return [headers['retry-after'], body.retryAfter]
    }
    expect(await waitOf(new DomainError('too_many_requests', { retryAfterSeconds: 7 }))).toEqual(['7', 7])
    expect(await waitOf(new DomainError('too_many_requests', { retryAfterSeconds: 0 }))).toEqual(['0', 0])
    expect(await waitOf(new DomainError('temporarily_unavailable'))).toEqual(['1', 1])
    expect(await waitOf(new DomainError('conflict'))).toEqual([undefined, undefined])
  })

  test('says whether it repeats an earlier one, and where the key stands', async () => {
    const rate = { burst: 10, windowSeconds: 5, left: 0, nextSeconds: 1 }
    const error = Object.assign(new DomainError('card_declined'), { replayed: true, rate })
    const { headers, body } = await send({}, {}, failing(error))
    expect([headers['idempotent-replayed'], headers.ratelimit, body.replayed]).toEqual([
      ...['true', '"key";r=0;t=1', true],
    ])
  })

  test('is Skylink’s envelope in their dialect, unless the caller asks for a problem', async () => {
    const fields = [
      { field: 'a', message: 'is required' },
      { field: 'b', message: 'is not valid' },
    ]
    const error = new DomainError('invalid_request', { fields })
    const rest = { dialect: 'rest' } as const
    const answer = await send(rest, {}, failing(error))
    expect(answer).toEqual({
      ...{ status: 400, body: { status: 0, message: 'a is required; b is not valid' } },
      headers: { ...SECURITY, 'content-type': 'application/json' },
    })
    const { body } = await send(rest, {}, failing(new DomainError('conflict', { detail: 'Too late.' })))
    expect(body.message).toBe('Too late.')
    const plain = await send(rest, {}, failing(new DomainError('not_found')))
    expect(plain.body).toEqual({ status: 0, message: 'Not found.' })
    const accept = { headers: { accept: 'application/problem+json, */*' } }
    expect((await send(rest, accept, failing(error))).body.type).toBe('urn:bursar:problem:invalid_request')
  })

  test('of ours says nothing of what went wrong', async () => {
    const { status, body } = await send({}, {}, failing(new TypeError('secret')))
    expect([status, JSON.stringify(body)]).toEqual([500, expect.not.stringContaining('secret')])
  })
})

describe('the log', () => {
  test('has one line for a request', async () => {
    await send({})
    expect(lines).toEqual([
      {
        ...{ level: 'info', requestId: 'the-request', route: 'v1/a-row', status: 200 },
        ms: expect.any(Number),
      },
    ])
    expect(Number(lines[0]?.ms)).toBeGreaterThanOrEqual(0)
    expect(Number(lines[0]?.ms)).toBeLessThan(60_000)
  })

  test('names the account of an access token', async () => {
    const authorizer = { lambda: { accountId: 'a1' } }
    await send({}, { requestContext: { ...REQUEST, authorizer } })
    expect(lines).toMatchObject([{ accountId: 'a1', status: 200 }])
  })

  test('has the code of a refusal, and the class and frames of a failure, but no message', async () => {
    await send({}, {}, failing(new DomainError('conflict', { detail: 'Too late.' })))
    await send({}, {}, failing(new TypeError('secret')))
    expect(lines).toMatchObject([
      { level: 'info', status: 409, error: 'conflict' },
      {
        level: 'error',
        status: 500,
        error: 'internal_error',
        cause: 'TypeError',
        frames: expect.any(Array),
      },
    ])
    expect(lines[0]).not.toHaveProperty('cause')
    expect(JSON.stringify(lines)).not.toMatch(/secret|Too late/)
  })

  test('names the route and the request in the lines of a handler', async () => {
    const handle = async ({ deps }: { deps: { log: { warn: (...line: unknown[]) => void } } }) => {
      deps.log.warn('something', new Error('secret'), { item: 'x' })
      return { told: 'yes' }
    }
    await send({}, {}, handle)
    expect(lines[0]).toMatchObject({
      ...{ level: 'warn', requestId: 'the-request', route: 'v1/a-row', what: 'something', item: 'x' },
    })
  })
})
