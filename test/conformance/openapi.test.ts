import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as z from 'zod/mini'
import { safeParse } from 'zod/v4/core'
import type { ErrorCode } from '../../core/errors.ts'
import { descriptions as apiDescriptions } from '../../functions/api/descriptions.ts'
import { api } from '../../functions/api/routes.ts'
import { openapi, operatorsOpenapi } from '../../functions/http/openapi.ts'
import { exampleKey, fits, hasExample, readExamples } from '../../functions/http/openapi-examples.ts'
import { gatewayAnswers } from '../../functions/http/openapi-operation.ts'
import { NUMBERS } from '../../functions/http/openapi-parameters.ts'
import { schemaOfCode } from '../../functions/http/openapi-problems.ts'
import { problems } from '../../functions/http/problems.ts'
import type { Placed } from '../../functions/http/route.ts'
import { errorsOf } from '../../functions/http/row-errors.ts'
import { adminKeyRows, rows as allRows, customerRows, operatorRows } from '../../functions/http/rows.ts'
import { descriptions as restDescriptions } from '../../functions/rest/descriptions.ts'
import { rest } from '../../functions/rest/routes.ts'
import { descriptions as v1Descriptions } from '../../functions/v1/descriptions.ts'
import { v1 } from '../../functions/v1/routes.ts'

const ROOT = join(import.meta.dirname, '..', '..')

type Json = Record<string, unknown>

interface Operation {
  operationId: string
  summary: string
  description: string
  tags: string[]
  security: Json[]
  deprecated?: true
  parameters: { name: string; in: string; required: boolean; schema: Json }[]
  requestBody?: { required: boolean; content: Record<string, { schema: Json }> }
  responses: Record<string, Answer | { $ref: string }>
}

interface Answer {
  description: string
  headers?: Json
  content?: Record<string, { schema: Json }>
}

interface Document {
  openapi: string
  info: { title: string; version: string; description: string }
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, Operation>>
  components: {
    securitySchemes: Json
    headers: Json
    responses: Record<string, Answer>
    schemas: Record<string, Json>
  }
}

/** Every object in a value, with its JSON pointer. */
function walk(value: unknown, at = '#'): [string, Json][] {
  if (typeof value !== 'object' || value === null) return []
  const inner = Object.entries(value).flatMap(([name, each]) => walk(each, `${at}/${name}`))
  return [[at, value as Json], ...inner]
}

/** The codes whose answers come with Retry-After. */
const waits = new Set<string>(
  (Object.keys(problems) as ErrorCode[]).filter((code) => 'retryAfter' in schemaOfCode(code).shape),
)
const limits = new Set(['key_budget_exhausted', 'over_burst', 'rate_limited'])

/** Whether the row's answers say where the key stands with its rate limit. */
const spends = (row: Placed): boolean => row.errors.includes('rate_limited') || row.customers === 'each'

/** Whether the handler of the row sets the header that leads to the next page. */
const leadsOn = ({ dialect, file }: Placed): boolean =>
  /rel="next"|\bnextPage\(/.test(readFileSync(join(ROOT, 'functions', dialect, `${file}.ts`), 'utf8'))

const DOCUMENTS = [
  ['functions/openapi.json', openapi, customerRows],
  ['functions/ops/openapi.json', operatorsOpenapi, [...operatorRows, ...adminKeyRows]],
] as const

describe.each(DOCUMENTS)('%s', (file, make, rows) => {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const document: Document = JSON.parse(text)
  const rowOf = (key: string) => rows.find(({ routes }) => (routes as readonly string[]).includes(key))!
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const key = `${method.toUpperCase()} ${path}`
      return { key, path, operation, row: rowOf(key) }
    }),
  )

  /** What a place refers to, if it only refers. */
  const at = (place: object): Json =>
    '$ref' in place
      ? String(place.$ref)
          .split('/')
          .slice(1)
          .reduce((value, name) => value[name] as Json, document as unknown as Json)
      : (place as Json)

  const answersOf = ({ responses }: Operation) =>
    Object.entries(responses).map(([status, answer]) => [status, at(answer) as unknown as Answer] as const)

  /** The codes whose problems a schema takes. */
  const codesOf = ({ $ref, oneOf = [{ $ref }] }: Json) =>
    (oneOf as { $ref: string }[]).map((each) => {
      const [, own] = at(each).allOf as [Json, { properties: { type: { const: string } } }]
      return own.properties.type.const.replace('urn:bursar:problem:', '')
    })

  test('equals what `npm run generate` writes from the rows', () => {
    expect(text).toBe(`${JSON.stringify(make(), null, 2)}\n`)
  })

  test('the document has every route of every row, and no other; one that only ends in a slash is told with its twin', () => {
    const routes: string[] = rows.flatMap((row) => row.routes)
    const twinOf = (key: string) => routes.find((other) => `${other}/` === key)
    expect(operations.map(({ key }) => key).sort()).toEqual(routes.filter((key) => !twinOf(key)).sort())
    for (const key of routes) {
      const twin = operations.find((each) => each.key === twinOf(key))
      if (twin) expect(twin.operation.description).toContain(`\`${key}\` is the same.`)
    }
  })

  test('every operation has the authentication, the body and the noun of its row', () => {
    for (const { key, operation, row } of operations) {
      expect([key, operation.summary]).toEqual([key, row.summary])
      expect([key, operation.description]).toEqual([key, expect.stringContaining(row.description ?? '')])
      expect([key, operation.security.length > 0]).toEqual([
        key,
        row.auth !== 'public' || row.token === 'optional',
      ])
      const isSent = (row.body || row.raw) && !key.startsWith('GET ')
      const types = isSent
        ? ['application/json', ...(row.form ? ['application/x-www-form-urlencoded'] : [])]
        : []
      const { requestBody } = operation
      expect([key, Object.keys(requestBody?.content ?? {})]).toEqual([key, types])
      if (requestBody)
        expect([key, requestBody.required]).toEqual([
          key,
          !row.body || !safeParse(row.body, undefined).success,
        ])
    }
  })

  test('every refusal is the union of its codes, and the gateway answers beside them', () => {
    for (const { key, operation, row } of operations) {
      const gateway = gatewayAnswers(row)
      const statuses = [
        ...Object.keys(row.responses),
        ...Object.keys(gateway),
        ...errorsOf(row).map((code) => String(problems[code].status)),
      ]
      expect([key, Object.keys(operation.responses).sort()]).toEqual([key, [...new Set(statuses)].sort()])
      for (const [status, { description, content = {} }] of answersOf(operation)) {
        if (Number(status) < 400) continue
        const codes = errorsOf(row).filter((code) => problems[code].status === Number(status))
        const problem = content['application/problem+json']
        expect([key, status, problem ? codesOf(problem.schema) : []]).toEqual([key, status, codes])
        for (const code of codes) expect(description).toContain(`\`${code}\`: ${problems[code].title}`)
        const inJson = [
          ...(row.dialect === 'rest' && codes.length > 0 ? ['Failure'] : []),
          ...(gateway[Number(status)] === undefined ? [] : ['GatewayFailure']),
        ]
        const json = content['application/json']?.schema
        const refs = ((json?.anyOf ?? (json ? [json] : [])) as { $ref: string }[]).map(({ $ref }) => $ref)
        expect([key, status, refs]).toEqual([
          key,
          status,
          inJson.map((name) => `#/components/schemas/${name}`),
        ])
      }
    }
  })

  test('every code has a problem with its own status and members, and `Problem` lists them all', () => {
    const codes = [...new Set(rows.flatMap(errorsOf))].sort()
    const { type } = document.components.schemas.Problem!.properties as { type: { enum: string[] } }
    expect(type.enum).toEqual(codes.map((code) => `urn:bursar:problem:${code}`))
    const mapping = (
      document.components.schemas.Problem!.discriminator as { mapping: Record<string, string> }
    ).mapping
    for (const code of codes) {
      const [base, own] = at({ $ref: mapping[`urn:bursar:problem:${code}`] }).allOf as [
        Json,
        { properties: Record<string, Json>; required: string[] },
      ]
      expect(base).toEqual({ $ref: '#/components/schemas/Problem' })
      expect([code, own.properties.status?.const]).toEqual([code, problems[code].status])
      const hasToWait = [429, 503].includes(problems[code].status)
      if (hasToWait) expect([code, own.required]).toEqual([code, expect.arrayContaining(['retryAfter'])])
    }
  })

  test('headers are told where they come: pages, waits, challenges, rates and repeats', () => {
    for (const { key, operation, row } of operations) {
      const named = Object.hasOwn((row.headers as { shape?: object })?.shape ?? {}, 'idempotency-key')
      for (const [status, { headers = {}, content = {} }] of answersOf(operation)) {
        const codes = codesOf(content['application/problem+json']?.schema ?? { oneOf: [] })
        const tells = status[0] === '2' ? spends(row) : codes.some((code) => limits.has(code))
        const isLimited = tells || row.guards !== undefined
        const expected = {
          Link: status === '200' && leadsOn(row),
          'Retry-After': codes.some((code) => waits.has(code)),
          'WWW-Authenticate': status === '401',
          RateLimit: isLimited,
          'RateLimit-Policy': isLimited,
          'Idempotent-Replayed': named && (status[0] === '2' || status === '402'),
        }
        const names = Object.entries(expected).flatMap(([name, comes]) => (comes ? [name] : []))
        expect([key, status, Object.keys(headers).sort()]).toEqual([key, status, names.sort()])
      }
    }
  })

  test('each operation has one noun, and each noun has operations and a description', () => {
    const used = operations.map(({ key, operation }) => {
      expect([key, operation.tags.length]).toEqual([key, 1])
      return operation.tags[0]
    })
    expect(document.tags.map(({ name }) => name).sort()).toEqual([...new Set(used)].sort())
    for (const { description } of document.tags) expect(description).toMatch(/^[A-Z].*\.$/)
  })

  test('of the routes of a row one is not deprecated, and it takes the body', () => {
    for (const row of rows) {
      const mine = operations.filter((each) => each.row === row)
      const [main, ...others] = mine.filter(({ operation }) => !operation.deprecated)
      expect([row.name, others]).toEqual([row.name, []])
      expect([row.name, main?.operation.operationId]).toEqual([row.name, `${row.dialect}.${row.name}`])
      expect([row.name, main?.operation.requestBody !== undefined]).toEqual([
        row.name,
        (row.body ?? row.raw) !== undefined,
      ])
      for (const { operation } of mine)
        if (operation.deprecated) expect(operation.description).toContain(`The same as \`${main?.key}\``)
    }
  })

  test('every summary is one line in the third person', () => {
    for (const { key, operation } of operations) {
      expect([key, operation.summary]).toEqual([
        key,
        expect.stringMatching(/^([A-Z][a-z]+s|Liveness check)\b.{3,90}[^.]$/),
      ])
    }
  })

  test('every description is Markdown in whole sentences, with a paragraph on each line', () => {
    const texts = [document.info.description, ...operations.map(({ operation }) => operation.description)]
    for (const text of texts) {
      expect(text).toMatch(/^\S.{20,}/)
      expect(text).not.toMatch(/ {2}|\n{3}|\s$|undefined/)
      for (const line of text.split('\n')) expect(line).toMatch(/^$|[.:]$|^## |^\| /)
    }
  })

  test('the document is OpenAPI 3.1 with a title, a version and a description', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/)
    expect(Object.keys(document).sort()).toEqual([
      'components',
      'info',
      'openapi',
      'paths',
      'servers',
      'tags',
    ])
    expect(document.info).toEqual({
      title: expect.stringMatching(/./),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      description: expect.stringMatching(/./),
      contact: { name: expect.stringMatching(/./) },
      license: { name: 'MIT', identifier: 'MIT' },
    })
    expect(readFileSync(join(ROOT, 'LICENSE'), 'utf8')).toMatch(/^MIT License/)
  })

  test('operation ids are unique', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([])
    for (const id of ids) expect(id).toMatch(/^[\w.]+$/)
  })

  test('every path parameter is declared, required and in the path, and no two paths are equivalent', () => {
    for (const { key, path, operation } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = operation.parameters.filter((parameter) => parameter.in === 'path')
      expect([key, declared.map(({ name }) => name)]).toEqual([key, inPath])
      for (const parameter of operation.parameters) {
        expect([key, ['path', 'query', 'header']]).toEqual([key, expect.arrayContaining([parameter.in])])
        expect([key, parameter.schema.type ?? parameter.schema.anyOf]).not.toEqual([key, undefined])
      }
      for (const { required } of declared) expect([key, required]).toEqual([key, true])
    }
    const shapes = Object.keys(document.paths).map((path) => path.replace(/\{\w+\}/g, '{}'))
    expect(new Set(shapes).size).toBe(shapes.length)
  })

  test('every $ref points into the document, and every component is used', () => {
    const places = new Set(walk(document).map(([at]) => at))
    const refs = walk(document).flatMap(([, { $ref }]) => (typeof $ref === 'string' ? [$ref] : []))
    expect(refs).not.toEqual([])
    expect(refs.filter((ref) => !places.has(ref))).toEqual([])
    for (const kind of ['headers', 'responses', 'schemas'] as const) {
      for (const name of Object.keys(document.components[kind]))
        expect(refs).toContain(`#/components/${kind}/${name}`)
    }
    const schemes = operations.flatMap(({ operation }) => operation.security.flatMap(Object.keys))
    expect([...new Set(schemes)].sort()).toEqual(Object.keys(document.components.securitySchemes).sort())
  })

  test('every response has a description, and content unless its row has none', () => {
    for (const { key, operation, row } of operations) {
      for (const [status, { description, content }] of answersOf(operation)) {
        expect([key, status]).toEqual([key, expect.stringMatching(/^[2-5]\d\d$/)])
        expect(description).toMatch(/./)
        expect([key, status, content === undefined]).toEqual([
          key,
          status,
          row.responses[Number(status)] === null,
        ])
      }
    }
  })

  test('schemas are JSON Schema 2020-12 for OpenAPI 3.1, with known types, and required fields exist', () => {
    const types = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null']
    const schemas = walk(document).filter(
      ([at]) => /\/(schema|schemas)\//.test(`${at}/`) && !/\/(properties|schemas)$/.test(at),
    )
    expect(schemas.length).toBeGreaterThan(0)
    for (const [at, schema] of schemas) {
      if (typeof schema.type === 'string')
        expect([at, types]).toEqual([at, expect.arrayContaining([schema.type])])
      expect([at, schema]).not.toEqual([at, expect.objectContaining({ $schema: expect.anything() })])
      expect([at, 'nullable' in schema]).toEqual([at, false])
      const { properties = {}, required = [] } = schema as { properties?: Json; required?: string[] }
      expect([at, required.filter((name) => !Object.hasOwn(properties, name))]).toEqual([at, []])
    }
  })

  test('every request body of a row has a name, and refuses unknown fields', () => {
    for (const { key, operation, row } of operations) {
      for (const { schema } of Object.values(operation.requestBody?.content ?? {})) {
        if (row.raw) continue
        expect([key, schema.$ref]).toEqual([key, expect.stringMatching(/^#\/components\/schemas\/\w+$/)])
        expect([key, at(schema).additionalProperties]).toEqual([key, false])
      }
    }
  })

  test('every answer that is an object, and every entry of a list, has a name', () => {
    for (const { key, operation } of operations) {
      for (const [status, { content = {} }] of answersOf(operation)) {
        for (const { schema } of Object.values(content)) {
          const { type, properties } = (schema.items ?? schema) as Json
          expect([key, status, type === 'object' && properties]).toEqual([key, status, false])
        }
      }
    }
  })
})

test('fields are described in the words of the rows and of the rules that refuse them', () => {
  const { Account, LoginBody } = openapi().components.schemas as Record<
    string,
    { properties: Record<string, Json> }
  >
  expect(v1Descriptions.getUser).toContain(`\n- ${Account?.properties.pendingEmail?.description}\n`)
  expect(LoginBody?.properties.username?.description).toBe(
    'Must be 3 to 32 of A-Z a-z 0-9 . _ - and start with a letter or digit.',
  )
})

test('every row has an example that fits it, apart from the one that answers the document', () => {
  const examples = readExamples()
  expect(
    allRows.filter((row) => hasExample(row) && !fits(row, examples[exampleKey(row)])).map(exampleKey),
  ).toEqual([])
  expect(Object.keys(examples)).toEqual(allRows.filter(hasExample).map(exampleKey))
})

test.each([
  ['api', api, apiDescriptions],
  ['v1', v1, v1Descriptions],
  ['rest', rest, restDescriptions],
])('each row of %s has the description with its name', (_, table, descriptions) => {
  expect(Object.keys(descriptions)).toEqual(Object.keys(table))
  for (const { name, description } of Object.values<Placed>(table)) {
    expect([name, description]).toEqual([name, (descriptions as Record<string, string>)[name]])
  }
})

test('the limit and the page of every query are whole numbers, and nothing else is taken', () => {
  for (const { query } of allRows) {
    if (!query) continue
    for (const name of NUMBERS.filter((each) => each in ((query as { shape?: object }).shape ?? {}))) {
      const takes = (text: string) =>
        !safeParse(query, { [name]: text }).error?.issues.some(({ path }) => path[0] === name)
      expect(['1', '25', 'x', '1.5', '01', '-1', '1e1', ' 1'].filter(takes)).toEqual(['1', '25'])
    }
  }
})

describe('an example', () => {
  const row = {
    path: z.object({ id: z.string() }),
    query: z.object({ page: z.optional(z.string()) }),
    body: z.object({ name: z.string() }),
    responses: { 200: z.object({ told: z.string() }) },
  } as unknown as Placed
  const right = {
    path: { id: 'x' },
    query: { page: '1' },
    body: { name: 'a' },
    answers: { 200: { told: 'b' } },
  }

  test('fits if the row takes its request and gives its answers', () => {
    expect(fits(row, right)).toBe(true)
    for (const wrong of [
      undefined,
      { ...right, path: {} },
      { ...right, path: undefined },
      { ...right, query: { page: 1 } },
      { ...right, body: {} },
      { ...right, answers: {} },
      { ...right, answers: undefined },
      { ...right, answers: { 200: {} } },
      { ...right, answers: { 201: { told: 'b' } } },
      { ...right, answers: { 200: { told: 'b' }, 204: {} } },
    ])
      expect(fits(row, wrong as never)).toBe(false)
  })

  test('may have no answer where the row may have none', () => {
    const bare = { ...row, responses: { 204: null } }
    const { answers: _, ...request } = right
    expect([fits(bare, request), fits(bare, right)]).toEqual([true, false])
    const plain = { ...bare, path: undefined, query: undefined, body: undefined } as unknown as Placed
    expect(fits(plain, {})).toBe(true)
  })
})
