import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { descriptions as apiDescriptions } from '../../functions/api/descriptions.ts'
import { api } from '../../functions/api/routes.ts'
import { errorsOf, openapi, operatorsOpenapi } from '../../functions/http/openapi.ts'
import { problems } from '../../functions/http/problems.ts'
import type { Placed } from '../../functions/http/route.ts'
import { adminKeyRows, customerRows, operatorRows } from '../../functions/http/rows.ts'
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
  parameters: { name: string; in: string; required: boolean; schema: Json }[]
  requestBody?: { content: Json }
  responses: Record<string, { description: string; content?: Json }>
}

interface Document {
  openapi: string
  info: { title: string; version: string; description: string }
  paths: Record<string, Record<string, Operation>>
  components: { securitySchemes: Json; schemas: Json }
}

/** Every object in a value, with its JSON pointer. */
function walk(value: unknown, at = '#'): [string, Json][] {
  if (typeof value !== 'object' || value === null) return []
  const inner = Object.entries(value).flatMap(([name, each]) => walk(each, `${at}/${name}`))
  return [[at, value as Json], ...inner]
}

const DOCUMENTS = [
  ['functions/openapi.json', openapi, customerRows],
  ['functions/ops/openapi.json', operatorsOpenapi, [...operatorRows, ...adminKeyRows]],
] as const

describe.each(DOCUMENTS)('%s', (file, make, rows) => {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const document: Document = JSON.parse(text)
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      key: `${method.toUpperCase()} ${path}`,
      path,
      operation,
    })),
  )

  test('equals what `npm run generate` writes from the rows', () => {
    expect(text).toBe(`${JSON.stringify(make(), null, 2)}\n`)
  })

  test('the document has every route of every row, and no other', () => {
    const routes = rows.flatMap((row) => row.routes)
    expect(operations.map(({ key }) => key).sort()).toEqual([...routes].sort())
  })

  test('every operation has the authentication, body and answers of its row', () => {
    for (const { key, operation } of operations) {
      const row = rows.find(({ routes }) => (routes as readonly string[]).includes(key))!
      expect([key, operation.summary, operation.tags]).toEqual([key, row.summary, [row.dialect]])
      expect([key, operation.description]).toEqual([key, row.description])
      expect([key, operation.security.length > 0]).toEqual([
        key,
        row.auth !== 'public' || row.token === 'optional',
      ])
      const types = row.body
        ? ['application/json', ...(row.form ? ['application/x-www-form-urlencoded'] : [])]
        : []
      expect([key, Object.keys(operation.requestBody?.content ?? {})]).toEqual([key, types])
      const statuses = [
        ...Object.keys(row.responses),
        ...errorsOf(row).map((code) => String(problems[code].status)),
      ]
      expect([key, Object.keys(operation.responses).sort()]).toEqual([key, [...new Set(statuses)].sort()])
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (Number(status) < 400) continue
        const types = [...(row.dialect === 'rest' ? ['application/json'] : []), 'application/problem+json']
        expect([key, status, Object.keys(content ?? {})]).toEqual([key, status, types])
      }
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
    expect(Object.keys(document).sort()).toEqual(['components', 'info', 'openapi', 'paths'])
    expect(document.info).toEqual({
      title: expect.stringMatching(/./),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      description: expect.stringMatching(/./),
    })
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
    for (const name of Object.keys(document.components.schemas))
      expect(refs).toContain(`#/components/schemas/${name}`)
    const schemes = operations.flatMap(({ operation }) => operation.security.flatMap(Object.keys))
    expect([...new Set(schemes)].sort()).toEqual(Object.keys(document.components.securitySchemes).sort())
  })

  test('every response has a description, and content unless its row has none', () => {
    for (const { key, operation } of operations) {
      expect([key, Object.keys(operation.responses).length > 0]).toEqual([key, true])
      for (const [status, { description, content }] of Object.entries(operation.responses)) {
        expect([key, status]).toEqual([key, expect.stringMatching(/^[2-5]\d\d$/)])
        expect(description).toMatch(/./)
        const row = rows.find(({ routes }) => (routes as readonly string[]).includes(key))
        expect([key, status, content === undefined]).toEqual([
          key,
          status,
          row?.responses[Number(status)] === null,
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

  test('every request body refuses unknown fields', () => {
    for (const { key, operation } of operations) {
      for (const { schema } of Object.values(operation.requestBody?.content ?? {}) as { schema: Json }[]) {
        for (const each of [schema, ...((schema.anyOf as Json[]) ?? [])]) {
          if (each.type === 'object') expect([key, each.additionalProperties]).toEqual([key, false])
        }
      }
    }
  })
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
