import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ErrorCode } from '../../core/errors.ts'
import { operatorsOverview, overview } from './descriptions.ts'
import { shapesOf } from './openapi-components.ts'
import { exampleKey, readExamples } from './openapi-examples.ts'
import { describeFields } from './openapi-fields.ts'
import { answerHeaders } from './openapi-headers.ts'
import { documentedRoutes, operation } from './openapi-operation.ts'
import { anyProblem, nameOfCode, schemaOfCode } from './openapi-problems.ts'
import { shareResponses } from './openapi-responses.ts'
import { type JsonSchema, refTo, writeSchemas } from './openapi-schemas.ts'
import { tagOf, tagsOf } from './openapi-tags.ts'
import { problems } from './problems.ts'
import type { Placed } from './route.ts'
import { errorsOf } from './row-errors.ts'
import { adminKeyRows, customerRows, operatorRows } from './rows.ts'

const failureSchema = {
  type: 'object',
  description: "Skylink's envelope of a failure.",
  required: ['status', 'message'],
  properties: { status: { const: 0 }, message: { type: 'string' } },
}

const gatewayFailureSchema = {
  type: 'object',
  description: 'An answer of the gateway itself, which no function has seen.',
  required: ['message'],
  properties: { message: { type: 'string' } },
}

/** `Problem`, which all problems are, and the problem of each code with its own members. */
function problemSchemas(codes: readonly ErrorCode[]): Record<string, JsonSchema> {
  const all = anyProblem(codes)
  const own = codes.map((code) => schemaOfCode(code))
  const written = writeSchemas([all, ...own], new Map(), 'output')
  const common = Object.keys(all.shape)
  const problem = {
    description: 'Problem details (RFC 9457). `type` says which problem it is.',
    ...written.of(all),
    discriminator: {
      propertyName: 'type',
      mapping: Object.fromEntries(
        codes.map((code) => [`urn:bursar:problem:${code}`, refTo(nameOfCode(code)).$ref]),
      ),
    },
  }
  const each = codes.map((code, at) => {
    const { properties, required } = written.of(own[at] ?? all) as {
      properties: Record<string, JsonSchema>
      required: string[]
    }
    const isOwn = (name: string) => !common.includes(name) || 'const' in (properties[name] ?? {})
    const schema = {
      description: problems[code].detail,
      allOf: [
        refTo('Problem'),
        {
          type: 'object',
          properties: Object.fromEntries(Object.entries(properties).filter(([name]) => isOwn(name))),
          required: required.filter(isOwn),
        },
      ],
    }
    return [nameOfCode(code), schema] as const
  })
  return { Problem: problem, ...Object.fromEntries(each) }
}

const sorted = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))

/** The headers that a document refers to. */
const headersIn = (paths: unknown) => {
  const text = JSON.stringify(paths)
  return Object.fromEntries(
    Object.entries(answerHeaders).filter(([name]) => text.includes(`#/components/headers/${name}"`)),
  )
}

const versionOfPackage = (): string =>
  JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')).version

/** What both documents have, and the part of one that depends on its rows. */
function documentOf(
  rows: readonly Placed[],
  { title, description, securitySchemes }: { title: string; description: string; securitySchemes: object },
) {
  const examples = readExamples()
  const shapes = shapesOf(rows)
  describeFields(rows, shapes)
  const paths: Record<string, Record<string, ReturnType<typeof operation>>> = {}
  const tags = new Set<string>()
  for (const row of rows) {
    for (const key of documentedRoutes(row)) {
      const [method = '', path = ''] = key.split(' ')
      paths[path] ??= {}
      paths[path][method.toLowerCase()] = operation(row, key, shapes, examples[exampleKey(row)])
      tags.add(tagOf(key))
    }
  }
  const responses = shareResponses(Object.values(paths).flatMap((methods) => Object.values(methods)))
  const codes = [...new Set(rows.flatMap(errorsOf))].sort()
  return {
    openapi: '3.1.0',
    info: {
      title,
      version: versionOfPackage(),
      description,
      contact: { name: 'The company that runs this deployment' },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [
      { url: '/', description: 'The deployment that answers this document' },
      { url: 'http://127.0.0.1:3000', description: 'The local stack of `npm run dev`' },
    ],
    tags: tagsOf(tags),
    paths,
    components: {
      securitySchemes,
      headers: headersIn([paths, responses]),
      responses: sorted(responses),
      schemas: sorted<JsonSchema>({
        ...shapes.components,
        ...problemSchemas(codes),
        ...(rows.some(({ dialect }) => dialect === 'rest') && { Failure: failureSchema }),
        GatewayFailure: gatewayFailureSchema,
      }),
    },
  }
}

/**
 * The OpenAPI 3.1 document of the published API. A test compares `functions/openapi.json`, the committed copy, with
 * it.
 */
export const openapi = () =>
  documentOf(customerRows, {
    title: 'Bursar',
    description: overview,
    securitySchemes: {
      accessToken: {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'The access token of a session, from `POST /v1/auth/login`.',
      },
      applicationKey: { type: 'http', scheme: 'bearer', description: 'An application key.' },
      apiKeyHeader: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'An application key.' },
      serviceCredential: {
        type: 'http',
        scheme: 'bearer',
        description: "The credential of one of the operator's services, `bss_…`.",
      },
    },
  })

/** The document of the operators' endpoints, which customers need not see: `functions/ops/openapi.json`. */
export const operatorsOpenapi = () =>
  documentOf([...operatorRows, ...adminKeyRows], {
    title: 'Bursar for operators',
    description: operatorsOverview,
    securitySchemes: {
      iam: {
        type: 'apiKey',
        in: 'header',
        name: 'authorization',
        description: 'AWS Signature Version 4 for the service `execute-api`.',
        'x-amazon-apigateway-authtype': 'awsSigv4',
      },
      adminKey: { type: 'apiKey', in: 'header', name: 'api-key', description: 'An admin key.' },
    },
  })
