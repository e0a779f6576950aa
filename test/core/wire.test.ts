import type { IncomingMessage, ServerResponse } from 'node:http'
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb'
import { SignatureV4 } from '@smithy/signature-v4'
import fc from 'fast-check'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { requestSigner } from '../../core/adapters/aws-sign.ts'
import { openTable } from '../../core/table/dynamodb.ts'
import { expr } from '../../core/table/expression.ts'
import { openWireTable } from '../../core/table/wire.ts'
import { fromNotation, toNotation } from '../../core/table/wire-notation.ts'
import { listen, readBody } from '../local/http.ts'
import { startApp } from '../support/app.ts'
import { Sha256 } from '../support/sha256.ts'

/** Guarantees of the lean client alone; `table.test.ts` tests those that both clients share. */
const app = await startApp()
const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
}
const region = 'eu-west-1'

describe('signatures', () => {
  test('equal those of AWS’s own signer, with and without a session token', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 })
    const token = fc.option(fc.stringMatching(/^[!-~]{1,200}$/), { nil: undefined })
    const times = fc.integer({ min: 0, max: 4_000_000_000_000 })
    await fc.assert(
      fc.asyncProperty(text, token, times, async (body, sessionToken, atMs) => {
        const headers = {
          host: 'dynamodb.eu-west-1.amazonaws.com',
          'content-type': 'application/x-amz-json-1.0',
          'x-amz-target': 'DynamoDB_20120810.GetItem',
        }
        const whole = { ...credentials, ...(sessionToken !== undefined && { sessionToken }) }
        const reference = new SignatureV4({
          service: 'dynamodb',
          region,
          credentials: whole,
          sha256: Sha256,
          applyChecksum: false,
        })
        const request = {
          method: 'POST',
          protocol: 'https:',
          hostname: headers.host,
          path: '/',
          headers,
          body,
        }
        const signed = await reference.sign(request, { signingDate: new Date(atMs) })
        expect(requestSigner(region, whole, 'dynamodb')({ headers, body }, atMs)).toEqual(signed.headers)
      }),
    )
  })

  test('are right on different days with one signer', () => {
    const sign = requestSigner(region, credentials, 'dynamodb')
    const request = { headers: { host: 'localhost' }, body: '{}' }
    const dayMs = 86_400_000
    for (const atMs of [0, dayMs, 0])
      expect(sign(request, atMs)).toEqual(requestSigner(region, credentials, 'dynamodb')(request, atMs))
  })
})

describe('notation', () => {
  const bytes = fc.uint8Array({ maxLength: 20 })
  const number = fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, min: -1e15, max: 1e15 }))
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      number.filter((n) => !Object.is(n, -0)),
      fc.boolean(),
      fc.constant(null),
      bytes,
      fc.array(fc.string(), { minLength: 1 }).map((items) => new Set(items)),
      fc.array(fc.integer(), { minLength: 1 }).map((items) => new Set(items)),
      fc.array(bytes, { minLength: 1, maxLength: 1 }).map((items) => new Set(items)),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(
        fc.string().filter((name) => name !== '__proto__' && name !== 'constructor'),
        tie('value'),
        { maxKeys: 4, noNullPrototype: true },
      ),
    ),
  }))
  const item = fc.dictionary(
    fc.string({ minLength: 1 }).filter((name) => name !== '__proto__' && name !== 'constructor'),
    value,
    { noNullPrototype: true },
  )

  /** AWS's package leaves bytes as they are; in JSON they are base64. */
  const asJson = (notation: unknown) =>
    JSON.parse(
      JSON.stringify(notation, (_, part) =>
        part instanceof Uint8Array ? Buffer.from(part).toString('base64') : part,
      ),
    )

  test('equals that of AWS’s own package, and reads back unchanged', () => {
    fc.assert(
      fc.property(item, (written) => {
        const notation = toNotation(written)
        expect(notation).toEqual(asJson(marshall(written as Record<string, never>)))
        expect(fromNotation(notation)).toEqual(plainOf(written))
      }),
    )
  })

  /** Buffers come back as plain arrays of bytes. */
  const plainOf = (written: Record<string, unknown>) => unmarshall(marshall(written as Record<string, never>))

  test('omits undefined values, at any depth', () => {
    expect(toNotation({ a: undefined, b: { c: undefined, d: [1, undefined] } })).toEqual({
      b: { M: { d: { L: [{ N: '1' }] } } },
    })
  })

  test.each([
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['2^53', 2 ** 53],
    ['an empty set', new Set()],
    ['a date', new Date(0)],
    ['a function', () => 1],
    ['a set of objects', new Set([{}])],
  ])('refuses %s, as AWS’s own package does', (_, bad) => {
    expect(() => toNotation({ bad })).toThrow()
  })

  test('reads a number beyond 2^53 as a bigint, and refuses an unknown type', () => {
    expect(fromNotation({ n: { N: '9007199254740993' } })).toEqual({ n: 9007199254740993n })
    expect(() => fromNotation({ n: { X: '1' } })).toThrow('type X')
    expect(() => fromNotation({ n: {} })).toThrow()
  })
})

test('each client reads what the other one writes', async () => {
  const { tableName, env } = app.stack
  const wire = openWireTable({ tableName, region, endpoint: env.AWS_ENDPOINT_URL_DYNAMODB!, credentials })
  const aws = openTable(tableName)
  const item = {
    text: 'ü €',
    bytes: Uint8Array.of(0, 255),
    ring: new Set([Uint8Array.of(1, 2), Uint8Array.of(3)]),
    deep: { list: [1, -0.5, null, true, { B: 'b', Item: 1, Items: [2] }] },
  }
  for (const [writer, reader] of [
    [wire, aws],
    [aws, wire],
  ] as const) {
    const key = { pk: 'WIRE#1', sk: '#TEST' }
    await writer.put({ ...key, ...item })
    expect(await reader.get(key)).toEqual({ ...key, ...item })
    const set = expr`DELETE #ring ${new Set([Uint8Array.of(3)])}`
    expect((await writer.update(key, set)).ring).toEqual(new Set([Uint8Array.of(1, 2)]))
    expect((await reader.list('WIRE#1', '#'))[0]).toEqual(await writer.get(key))
  }
})

let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {}
const asked: { headers: IncomingMessage['headers']; body: string; socket: unknown }[] = []
const server = await listen(async (request, response) => {
  const body = (await readBody(request)).toString()
  asked.push({ headers: request.headers, body, socket: request.socket })
  answer(request, response)
})
afterAll(() => server.close())

describe('requests and answers', () => {
  beforeEach(() => void asked.splice(0))

  const open = (sessionToken?: string) =>
    openWireTable({
      tableName: 'bursar',
      region,
      endpoint: server.url,
      credentials: { ...credentials, sessionToken },
    })
  const key = { pk: 'A', sk: 'B' }
  const json = (status: number, body: unknown) => (_: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
  const unavailable = { name: 'DomainError', code: 'temporarily_unavailable' }

  test('a request names its operation, is signed with the session token, and connections are kept', async () => {
    answer = json(200, {})
    const table = open('token')
    await table.get(key)
    await table.get(key)
    const [{ headers, body } = { headers: {}, body: '' }] = asked
    expect(headers).toMatchObject({
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'DynamoDB_20120810.GetItem',
      'x-amz-security-token': 'token',
      authorization: expect.stringMatching(
        /SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target,/,
      ),
    })
    expect(JSON.parse(body)).toEqual({
      TableName: 'bursar',
      Key: { pk: { S: 'A' }, sk: { S: 'B' } },
      ConsistentRead: true,
    })
    expect(new Set(asked.map(({ socket }) => socket)).size).toBe(1)
  })

  test.each([
    ['a cut connection', (request: IncomingMessage) => void request.socket.destroy()],
    [
      'a torn body',
      (request: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200, { 'content-length': 100 }).write('{"Item":')
        setImmediate(() => request.socket.destroy())
      },
    ],
    ['a body that is no JSON', json(200, '<html>')],
    ['a 500', json(500, { __type: 'com.amazonaws.dynamodb.v20120810#InternalServerError' })],
    ['a 503 without a body', json(503, '')],
  ])('%s is retried once, and then reported as temporarily_unavailable', async (_, how) => {
    answer = how
    await expect(open().get(key)).rejects.toMatchObject(unavailable)
    expect(asked).toHaveLength(2)
    answer = (request, response) =>
      asked.length === 3 ? how(request, response) : json(200, {})(request, response)
    expect(await open().get(key)).toBe(undefined)
    expect(asked).toHaveLength(4)
  })

  test('a throttled request is tried three times', async () => {
    answer = json(400, { __type: 'x#ProvisionedThroughputExceededException' })
    await expect(open().get(key)).rejects.toMatchObject({ ...unavailable, retryAfterSeconds: 1 })
    expect(asked).toHaveLength(3)
  })

  test.each(['ValidationException', 'AccessDeniedException', 'ResourceNotFoundException'])(
    '%s is our own mistake, so it is reported unchanged and not retried',
    async (name) => {
      answer = json(400, { __type: `com.amazon.coral.service#${name}`, message: 'x' })
      await expect(open().get(key)).rejects.toMatchObject({ name })
      expect(asked).toHaveLength(1)
    },
  )

  test('both tries of a transaction carry the same token, and another transaction carries another', async () => {
    answer = json(500, {})
    await open()
      .transact([{ put: key }])
      .catch(() => {})
    await open()
      .transact([{ put: key }])
      .catch(() => {})
    const tokens = asked.map(({ body }) => JSON.parse(body).ClientRequestToken as string)
    expect(tokens[0]).toBe(tokens[1])
    expect(new Set(tokens).size).toBe(2)
  })
})
