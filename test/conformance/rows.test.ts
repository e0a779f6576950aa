import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { safeParse } from 'zod/v4/core'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { BODY_LIMIT } from '../../functions/http/body.ts'
import type { Dialect, Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, type Sample, sampleOf, samples, tokenOf } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { sendRaw } from '../support/send.ts'
import {
  expectContract,
  expectError,
  fieldsOf,
  jsonSchema,
  jsonText,
  outsideCalls,
  targetOf,
  typesOf,
  VALUES,
} from './contract.ts'
import { stationBefore } from './outage.ts'

const app = await startApp()
const cognito = stationBefore('AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER')

const ROOT = join(import.meta.dirname, '..', '..')
const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'

/** What decides which code stands before a row's handler. */
const shapeOf = ({ dialect, auth, proof, path, query, headers, body, raw, form }: Placed): string =>
  [dialect, auth, proof, ...[path, query, headers, body, raw, form].map((each) => each !== undefined)].join()

/** One row of each shape; `npm run test:deep` tries every row. */
const tried = process.env.DEEP ? rows : [...Map.groupBy(rows, shapeOf).values()].flatMap(([row = []]) => row)
const table = tried.map((row) => [rowKey(row), row] as const)
const only = (holds: (row: Placed) => unknown) => table.filter(([, row]) => holds(row))

describe('one row, one file, one test', () => {
  /** Files of a dialect's folder that are not handlers. */
  const DATA = ['routes', 'descriptions']
  const dialects = [...new Set(rows.map(({ dialect }) => dialect))]

  const filesIn = (folder: string, ending: string): string[] =>
    readdirSync(join(ROOT, folder))
      .filter((file) => file.endsWith(ending))
      .map((file) => file.slice(0, -ending.length))
      .sort()
  const filesOf = (dialect: Dialect): string[] =>
    rows
      .filter((row) => row.dialect === dialect)
      .map(({ file }) => file)
      .sort()

  test.each(dialects)('%s: each row has a file and each file has a row', (dialect) => {
    const handlers = filesIn(`functions/${dialect}`, '.ts').filter((file) => !DATA.includes(file))
    // `http` also holds the endpoint stack itself.
    const expected = dialect === 'http' ? handlers.filter((file) => filesOf('http').includes(file)) : handlers
    expect(filesOf(dialect)).toEqual(expected)
  })

  test.each(dialects)('%s: each row has a test and each test has a row', (dialect) => {
    const tested = filesIn(`test/${dialect}`, '.test.ts').map((file) => file.replace(/\.deep$/, ''))
    expect([...new Set(tested)].sort()).toEqual(filesOf(dialect))
  })

  test('each row with input has a sample in test/support/samples.ts, and each sample has a row', () => {
    const takers = rows.filter(({ path, query, body, raw }) => path ?? query ?? body ?? raw)
    expect(Object.keys(samples)).toEqual(expect.arrayContaining(takers.map(rowKey)))
    expect(rows.map(rowKey)).toEqual(expect.arrayContaining(Object.keys(samples)))
  })

  test('only an answer that is the same for all may be kept', () => {
    for (const { routes, auth, token, headers, maxAgeSeconds } of rows) {
      if (maxAgeSeconds === undefined) continue
      expect(routes.every((key) => key.startsWith('GET '))).toBe(true)
      expect([auth, token, headers]).toEqual(['public', undefined, undefined])
    }
  })

  test('no two rows have the same route', () => {
    const routes = rows.flatMap((row) => row.routes)
    expect(new Set(routes).size).toBe(routes.length)
  })
})

/** A row with a caller and with input that would succeed. */
interface Subject {
  row: Placed
  person: SignedInPerson
  sample: Sample
  /** The token or key that the row requires. */
  token: string | undefined
}

async function subjectOf(row: Placed): Promise<Subject> {
  const person = await app.signUp()
  const token = await tokenOf(app, row, person)
  return { row, person, token, sample: await sampleOf(app, row, person) }
}

interface Sent {
  body?: string | Uint8Array
  /** Content type of the body; if it is undefined, none is sent. */
  type?: string | undefined
  /** `undefined` sends no token; without this property the subject's own token is sent. */
  token?: string | undefined
  encoding?: string
  headers?: Record<string, string>
}

const shared = new Map<Placed, Promise<Subject>>()

/** The subject of a row, shared by all refused requests, because these do not change it. */
function subjectFor(row: Placed): Promise<Subject> {
  const subject = shared.get(row) ?? subjectOf(row)
  shared.set(row, subject)
  return subject
}

/**
 * Sends a request to a route of the subject's row with the sample's path, and with a token if the row
 * requires one.
 */
function send(subject: Subject, sent: Sent, route = subject.row.routes[0] as string): Promise<TestAnswer> {
  const { sample } = subject
  const [method, target] = targetOf(route, sample.path)
  const token = 'token' in sent ? sent.token : subject.token
  const headers: [string, string | undefined][] = [
    ['content-type', sent.type],
    ['content-encoding', sent.encoding],
    ['authorization', token === undefined ? undefined : `Bearer ${token}`],
  ]
  headers.push(...Object.entries(sent.headers ?? {}))
  const given = headers.filter((header): header is [string, string] => header[1] !== undefined)
  const query = new URLSearchParams(sample.query).toString()
  app.resetCalls()
  return sendRaw(app.url, method, query ? `${target}?${query}` : target, given, sent.body)
}

const json = (body: string): Sent => ({ body, type: JSON_TYPE })

function sendSample(subject: Subject, route?: string): Promise<TestAnswer> {
  const { body, raw } = subject.sample
  return send(subject, raw ? { ...raw, type: JSON_TYPE } : body ? json(JSON.stringify(body)) : {}, route)
}

/** Most reads that find out who the caller is. An application key's owner and its counter are two items. */
const READS_OF_CALLER = { public: 0, account: 1, operator: 0, 'admin-key': 1, key: 2 }

/** Asserts that no call changed anything, and that nothing was read but the account or the key, for authentication. */
function expectNothingDone(row: Placed): void {
  const { GetItem = 0, Query = 0, ...others } = outsideCalls(app)
  expect(others).toEqual({})
  expect(GetItem + Query).toBeLessThanOrEqual(READS_OF_CALLER[row.auth])
}

async function expectRefused(subject: Subject, sent: Sent, code: ErrorCode): Promise<TestAnswer> {
  const answer = await send(subject, sent)
  expectError(subject.row, answer, code)
  expectNothingDone(subject.row)
  return answer
}

describe.each(table)('%s', (_, row) => {
  test.each([...row.routes])(
    '%s answers its sample as declared, and leaves one line of JSON',
    async (route) => {
      const subject = await subjectOf(row)
      app.logs.length = 0
      const answer = await sendSample(subject, route)
      expect(Object.keys(row.responses)).toContain(String(answer.status))
      expectContract(row, answer)
      expectOneLine(row, answer)
    },
  )

  test('a refusal leaves one line of JSON', async () => {
    const subject = await subjectFor(row)
    app.logs.length = 0
    expectOneLine(row, await send(subject, json('[]')))
  })
})

function expectOneLine(row: Placed, { status, headers }: TestAnswer): void {
  expect(app.logs.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({
      level: 'info',
      route: `${row.dialect}/${row.file}`,
      status,
      requestId: headers.get('apigw-requestid'),
    }),
  ])
}

describe.each(only(({ auth }) => auth === 'account'))('%s requires a live session', (_, row) => {
  let subject: Subject
  beforeAll(async () => {
    subject = await subjectFor(row)
  })

  async function expectGatewayRefuses(token: string | undefined, status: number, message: string) {
    const answer = await send(subject, { token })
    expect([answer.status, answer.body]).toEqual([status, { message }])
    expect(outsideCalls(app)).toEqual({})
  }

  /** Changes the stored account, sends the request, and restores the account. */
  async function meanwhile(change: () => Promise<unknown>, asking: () => Promise<unknown>): Promise<void> {
    const { table } = await app.ports()
    const profile = await table.get(profileKey())
    await change()
    await asking()
    await table.put({ ...profile })
  }
  const profileKey = () => keys.profile(subject.person.accountId)

  async function expectGateRefuses(code: ErrorCode): Promise<void> {
    await expectRefused(subject, json(JSON.stringify(subject.sample.body ?? {})), code)
    const answer = await expectRefused(subject, json('{'), code)
    const challenge = answer.status === 401 ? 'Bearer error="invalid_token"' : null
    expect(answer.headers.get('www-authenticate')).toBe(challenge)
  }

  test('401 of the gateway without a token, and nothing is read', async () => {
    await expectGatewayRefuses(undefined, 401, 'Unauthorized')
  })

  test.each(['garbage', 'a.b.c', ''])(
    '403 of the gateway for the token "%s", and nothing is read',
    async (token) => {
      await expectGatewayRefuses(token, 403, 'Forbidden')
    },
  )

  test.each([
    ['deactivated', 'account_deactivated'],
    ['suspended', 'account_suspended'],
    ['pending', 'session_ended'],
  ] as const)(
    'a request of a %s account is refused as %s, whatever the request holds',
    async (status, code) => {
      // A repeat of the row's own success: repeats.deep.test.ts tests it.
      if (code === row.refusalAfter) return
      const { table } = await app.ports()
      const change = () => table.update(profileKey(), expr`SET #status = ${status}`)
      await meanwhile(change, () => expectGateRefuses(code))
    },
  )

  test('401 session_ended after sign-out, even if the gateway has cached the token’s verdict', async () => {
    if (row.refusalAfter === 'session_ended') return
    const { accessToken: token } = subject.person
    const change = async () => {
      const { status } = await app.request('POST', '/v1/auth/logout', { token })
      expect(status).toBe(204)
    }
    await meanwhile(change, () => expectGateRefuses('session_ended'))
  })

  test('401 token_expired for a token that has expired, before anything else, and only the account is read', async () => {
    await meanwhile(
      async () => app.advance(15 * 60_000),
      () => expectGateRefuses('token_expired'),
    )
    app.advance(-15 * 60_000)
  })

  test('401 session_ended for a deleted account', async () => {
    const { table } = await app.ports()
    await meanwhile(
      () => table.remove(profileKey()),
      () => expectGateRefuses('session_ended'),
    )
  })
})

describe.each(only(({ body }) => body))('%s accepts its declared body and no other', (_, row) => {
  const schema = row.body!
  let subject: Subject
  let body: Record<string, unknown>
  /** Each field of the sample as JSON text. */
  let fields: [name: string, json: string][]

  beforeAll(async () => {
    subject = await subjectFor(row)
    body = subject.sample.body ?? {}
    fields = fieldsOf(body)
  })

  const refused = (sent: Sent, code: ErrorCode) => expectRefused(subject, sent, code)
  const asForm = () => new URLSearchParams(body as Record<string, string>).toString()

  test('the sample is valid and has every field', () => {
    expect(safeParse(schema, body).success).toBe(true)
    const { properties = {} } = jsonSchema(schema, 'input')
    const absent = Object.keys(properties).filter((name) => !Object.hasOwn(body, name))
    // Fields that exclude each other cannot both be in the sample.
    const guesses = ['person', 'person@mail.example', true, 1, {}, []]
    const fitting = absent.filter((name) =>
      guesses.some((guess) => safeParse(schema, { ...body, [name]: guess }).success),
    )
    expect(fitting).toEqual([])
  })

  test.each([
    'text/plain',
    'text/json',
    'application/xml',
    'application/jsonp',
    'application/json-patch+json',
    'application/octet-stream',
    'multipart/form-data; boundary=x',
    'application/json, text/plain',
    ' ',
  ])('415 for the content type "%s"', async (type) => {
    await refused({ body: jsonText(fields), type }, 'unsupported_media_type')
  })

  test('415 without a content type', async () => {
    await refused({ body: jsonText(fields) }, 'unsupported_media_type')
  })

  test('JSON is not parsed as a form, nor a form as JSON', async () => {
    await refused(json(asForm()), 'malformed_body')
    const code = row.form ? 'invalid_request' : 'unsupported_media_type'
    await refused({ body: jsonText(fields), type: FORM_TYPE }, code)
  })

  test.each(['utf-16', 'iso-8859-1', 'utf-7', '"utf-16le"', 'x', ''])(
    '415 for charset=%s',
    async (charset) => {
      for (const type of [JSON_TYPE, FORM_TYPE]) {
        const text = type === JSON_TYPE ? jsonText(fields) : asForm()
        await refused({ body: text, type: `${type}; charset=${charset}` }, 'unsupported_media_type')
      }
    },
  )

  test.each(['application/json;charset=UTF-8', 'Application/JSON; Charset="utf-8"', 'application/json; v=1'])(
    'the content type "%s" is JSON',
    async (type) => {
      await refused({ body: '{"none":1}', type }, 'invalid_request')
    },
  )

  test('400 for a JSON key given twice, even if it is escaped or nested', async () => {
    for (const [name, value] of fields) {
      const escaped = `\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}`
      await refused(json(jsonText([...fields, [name, value]])), 'malformed_body')
      await refused(json(`{"${name}":${value},"${escaped}":${value}}`), 'malformed_body')
    }
    await refused(json('{"a":{"b":1,"b":2}}'), 'malformed_body')
    await refused(json('[{"a":1,"a":1}]'), 'malformed_body')
    await refused(json('{"__proto__":1,"__proto__":1}'), 'malformed_body')
  })

  test.each(['[]', '[{}]', 'null', '"x"', '1', 'true', '1e400'])('400 for %s at the root', async (text) => {
    await refused(json(text), 'invalid_request')
  })

  test.each(['{', '{"a":1}}', "{'a':1}", '{"a":1,}', '{"a":01}', 'NaN', '{"a":"\u0001"}', '// x\n{}', ' '])(
    '400 for %j, which is not JSON',
    async (text) => {
      await refused(json(text), 'malformed_body')
    },
  )

  test('a missing body is refused unless the body is optional', async () => {
    if (safeParse(schema, undefined).success) {
      const subject = await subjectOf(row)
      const { path } = subject.sample
      const answer = await sendSample({ ...subject, sample: { ...(path && { path }) } })
      expect(Object.keys(row.responses)).toContain(String(answer.status))
    } else await refused({ type: JSON_TYPE }, 'invalid_request')
  })

  test('400 for a byte order mark', async () => {
    await refused(json(`\ufeff${jsonText(fields)}`), 'malformed_body')
  })

  test.each(['extra', '__proto__', 'constructor', 'prototype', 'toString', '', 'a.b', 'quota', 'accountId'])(
    '400 for the undeclared field "%s"',
    async (name) => {
      await refused(json(jsonText([...fields, [name, '{"x":1}']])), 'invalid_request')
      await refused(json(jsonText([[name, JSON.stringify(body)]])), 'invalid_request')
    },
  )

  test('400 for a value of any other type, including 1e400; nothing is coerced', async () => {
    const { properties = {} } = jsonSchema(schema, 'input')
    for (const [name] of fields) {
      const taken = typesOf(properties[name] ?? {})
      expect(taken, `${name} takes values of any type`).not.toEqual([])
      for (const [type, value] of VALUES) {
        const infinite = type === 'number' && !Number.isFinite(JSON.parse(value))
        if (taken.includes(type) && !infinite) continue
        const others = fields.filter(([other]) => other !== name)
        await refused(json(jsonText([...others, [name, value]])), 'invalid_request')
      }
    }
  })

  test('400 for 10,000 levels of nesting', async () => {
    const [name] = fields[0] ?? ['x']
    const array = '['.repeat(10_000) + ']'.repeat(10_000)
    await refused(json(array), 'malformed_body')
    await refused(json(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), 'malformed_body')
    await refused(json(jsonText([[name, array]])), 'malformed_body')
    await refused(json('['.repeat(60_000)), 'malformed_body')
  })

  test('413 in the dialect’s format for a body over 64 KiB, counted in bytes', async () => {
    const filled = (length: number) => `{"x":"${'a'.repeat(length - 8)}"}`
    await refused(json(filled(BODY_LIMIT)), 'invalid_request')
    await refused(json(filled(BODY_LIMIT + 1)), 'payload_too_large')
    await refused(json(`{"x":"${'€'.repeat(22_000)}"}`), 'payload_too_large')
    await refused({ body: filled(1_000_000), type: 'text/plain' }, 'payload_too_large')
  })

  test('415 for a compressed body, 400 if its content encoding is not declared', async () => {
    const zipped = gzipSync(jsonText(fields))
    for (const encoding of ['gzip', 'br', 'deflate', 'x', 'identity, gzip']) {
      await refused({ body: zipped, type: JSON_TYPE, encoding }, 'unsupported_media_type')
    }
    await refused({ body: zipped, type: JSON_TYPE }, 'malformed_body')
  })

  test.each([
    ['NUL', '\\u0000'],
    ['a lone high surrogate', '\\ud800'],
    ['a lone low surrogate', '\\udc00'],
  ])('%s in a text is refused and nothing is written', async (_, character) => {
    for (const [name, value] of fields.filter(([, value]) => value.startsWith('"'))) {
      const others = fields.filter(([other]) => other !== name)
      const spoilt = jsonText([...others, [name, `${value.slice(0, -1)}${character}"`]])
      const answer = await send(subject, json(spoilt))
      expectContract(row, answer)
      expect([name, Math.floor(answer.status / 100)]).toEqual([name, 4])
      const { GetItem, Query, ...writes } = app.calls().dynamodb
      // A key of the wrong form is a well-formed request, which is counted by its network.
      expect(writes).toEqual(answer.status === 401 && row.guards ? { UpdateItem: 1 } : {})
    }
    await refused(json(`{"${character}":1}`), 'invalid_request')
  })
})

describe.each(only(({ form }) => form))('%s accepts forms under the same rules', (_, row) => {
  const pairsOf = ({ sample }: Subject) => Object.entries(sample.body as Record<string, string>)
  const encoded = (pairs: [string, string][]): string => new URLSearchParams(pairs).toString()

  test('the sample as a form is answered as declared', async () => {
    const subject = await subjectOf(row)
    const pairs = pairsOf(subject)
    const answer = await send(subject, { body: encoded(pairs), type: `${FORM_TYPE}; charset=UTF-8` })
    expect(Object.keys(row.responses)).toContain(String(answer.status))
    expectContract(row, answer)
  })

  test('400 for a field that is repeated, in brackets or unknown', async () => {
    const subject = await subjectFor(row)
    const pairs = pairsOf(subject)
    for (const [name, value] of pairs) {
      const twice = encoded([...pairs, [name, value]])
      await expectRefused(subject, { body: twice, type: FORM_TYPE }, 'malformed_body')
      for (const other of [`${name}[]`, `${name}[0]`, `${name}[x]`, `${name}.x`, ` ${name}`]) {
        for (const all of [[...pairs, [other, value]], pairs.map(([n, v]) => [n === name ? other : n, v])]) {
          const body = encoded(all as [string, string][])
          await expectRefused(subject, { body, type: FORM_TYPE }, 'invalid_request')
        }
      }
    }
    for (const name of ['__proto__', 'constructor', 'extra', '_method', '']) {
      const body = encoded([...pairs, [name, '1']])
      await expectRefused(subject, { body, type: FORM_TYPE }, 'invalid_request')
    }
  })

  test('400 for text that is not UTF-8, percent-encoded or not', async () => {
    const subject = await subjectFor(row)
    const pairs = pairsOf(subject)
    for (const [name] of pairs) {
      const ending = (end: string) =>
        encoded(pairs).replace(new RegExp(`\\b${name}=[^&]*`), (pair) => pair + end)
      for (const end of ['%ff', '%c3%28', '%ed%a0%80', '%', '%zz']) {
        await expectRefused(subject, { body: ending(end), type: FORM_TYPE }, 'malformed_body')
      }
      const bytes = Buffer.concat([Buffer.from(encoded(pairs)), Buffer.from([0xff])])
      await expectRefused(subject, { body: bytes, type: FORM_TYPE }, 'malformed_body')
      await expectRefused(subject, { body: ending('%00'), type: FORM_TYPE }, 'invalid_request')
    }
  })
})

describe.each(only(({ body, raw }) => !body && !raw))('%s accepts no body', (_, row) => {
  test('a request with a body is refused and has no effect', async () => {
    const subject = await subjectFor(row)
    const refused = (sent: Sent, code: ErrorCode) => expectRefused(subject, sent, code)
    for (const text of ['{"a":1}', '[]', 'null', '0', '""', '{"__proto__":1}']) {
      await refused(json(text), 'invalid_request')
    }
    await refused(json('{"a":1,"a":1}'), 'malformed_body')
    await refused(json('{'), 'malformed_body')
    await refused(json(`"${'a'.repeat(BODY_LIMIT)}"`), 'payload_too_large')
    await refused({ body: 'a=b', type: FORM_TYPE }, 'unsupported_media_type')
    await refused({ body: '{"a":1}' }, 'unsupported_media_type')
  })

  test('an empty object counts as no body', async () => {
    const answer = await send(await subjectOf(row), json('{}'))
    expect(Object.keys(row.responses)).toContain(String(answer.status))
  })
})

describe('when a service behind it fails', () => {
  const VENDOR = 'User: arn:aws:sts::000000000000:assumed-role/bursar-fn is not authorized on table/bursar'

  /** Sends the samples of these rows concurrently while a service is broken. */
  async function askAll(
    subjects: Subject[],
    breakIt: () => void,
    expectAnswer: (row: Placed, answer: TestAnswer) => void,
  ) {
    // The authorizer caches its key set and its verdict on each token before the service breaks.
    for (const { person } of subjects) await app.request('GET', '/v1/user', { token: person.accessToken })
    breakIt()
    const answers = await Promise.all(subjects.map((subject) => sendSample(subject)))
    app.stack.dynamo.clearFaults()
    cognito.answer()
    expect(answers).not.toEqual([])
    subjects.forEach(({ row }, at) => {
      expectAnswer(row, answers[at]!)
    })
  }

  /** One after another, because some need a mail that only one run of the job sends. */
  async function subjects(kind: typeof subjectFor, holds: (row: Placed) => unknown): Promise<Subject[]> {
    const made: Subject[] = []
    for (const row of tried.filter(holds)) made.push(await kind(row))
    return made
  }
  /**
   * An erasure that has begun is finished by the sweep, and an address that is confirmed stays so: the first sign-in makes
   * the user.
   */
  const needsVault = ({ needs, name }: Placed) =>
    needs.includes('identity') && !['erase', 'activate'].includes(name)
  const unavailable = (row: Placed, answer: TestAnswer) => expectError(row, answer, 'temporarily_unavailable')
  const ourFault = (row: Placed, answer: TestAnswer) => expectError(row, answer, 'internal_error')

  test.each([
    ['a 500', { status: 500, body: `{"__type":"InternalErrorException","message":"${VENDOR}"}` }],
    ['a cut connection', 'cut' as const],
    ['a torn body', { status: 200, body: `{"AuthenticationResult":{"AccessToken":"${VENDOR}` }],
  ])(
    '%s of Cognito is a 503 of every row that needs Cognito, and the answer does not show it',
    async (_, reply) => {
      const needing = await subjects(subjectOf, needsVault)
      await askAll(needing, () => cognito.answer(reply), unavailable)
    },
  )

  test('an error of Cognito about a wrong deployment is a 500 that does not show it', async () => {
    const reply = { status: 400, body: JSON.stringify({ __type: 'AccessDeniedException', message: VENDOR }) }
    const needing = await subjects(subjectOf, needsVault)
    await askAll(needing, () => cognito.answer(reply), ourFault)
  })

  test('a malformed item is a 500 that does not show the item', async () => {
    const person = await app.signUp()
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #email = ${42}`)
    for (const { row, sample } of await subjects(subjectFor, ({ auth }) => auth === 'account')) {
      ourFault(row, await sendSample({ row, sample, person, token: person.accessToken }))
    }
  })

  test('rows that need no service answer while every service is down', async () => {
    const needless = await subjects(subjectFor, ({ needs }) => needs.length === 0)
    const breakIt = () => {
      app.stack.dynamo.addFault({ fault: 'error-before' })
      cognito.answer('cut')
    }
    await askAll(needless, breakIt, (row, { status }) => {
      expect(Object.keys(row.responses)).toContain(String(status))
    })
  })

  // This test is the last one, because its second fault changes the shared subjects.
  test('an error or silence of DynamoDB is a 503 of every row that needs DynamoDB, and the answer does not show it', async () => {
    // An import answers user by user, to tell who asks takes the table in the console only, and the sample asks for the
    // deployed file.
    const other = ['importUsers', 'whoami', 'showPlans']
    const needing = await subjects(
      subjectFor,
      ({ needs, name }) => needs.includes('table') && !other.includes(name),
    )
    for (const fault of ['error-before', 'lose-reply-after-commit'] as const) {
      await askAll(needing, () => app.stack.dynamo.addFault({ fault }), unavailable)
    }
  })
})
