import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { $ZodType } from 'zod/v4/core'
import { toJSONSchema } from 'zod/v4/core'
import type { ErrorCode } from '../../core/errors.ts'
import { operatorsOverview, overview } from './descriptions.ts'
import type { CUSTOMER_HEADERS } from './key-caller.ts'
import { problems } from './problems.ts'
import { isRead, type Placed } from './route.ts'
import { adminKeyRows, customerRows, operatorRows } from './rows.ts'

/**
 * Every error code that an endpoint can answer: those of its row, and those of the stack around the handler.
 */
export function errorsOf(row: Placed): ErrorCode[] {
  const codes: ErrorCode[] = [...row.errors, 'internal_error']
  if (row.auth === 'account' || row.auth === 'operator') {
    codes.push('unauthorized', 'token_expired', 'session_ended', 'account_deactivated', 'account_suspended')
  }
  if (row.auth === 'account' && !isRead(row)) codes.push('read_only_token')
  if (row.auth === 'operator') codes.push('operator_refused', 'operator_sign_in_required')
  if (row.auth === 'admin-key') codes.push('admin_key_refused', 'operator_refused')
  if (row.proof === 'recent') codes.push(...proofErrors)
  if (row.sourceLimit) codes.push('too_many_requests')
  if (row.auth === 'key') {
    codes.push('unauthorized', 'account_deactivated', 'account_suspended')
    codes.push('key_expired', 'key_disabled', 'ip_not_allowed', 'service_refused', 'not_found')
  }
  // A row without a body or parameters still refuses a request that has a body.
  codes.push('invalid_request', 'malformed_body', 'payload_too_large', 'unsupported_media_type')
  if (row.needs.length > 0) codes.push('temporarily_unavailable')
  return [...new Set(codes)]
}

/** What `checkProof` answers. */
const proofErrors: ErrorCode[] = [
  'reauthentication_required',
  'wrong_password',
  'password_locked',
  'two_factor_required',
  'two_factor_invalid',
  'two_factor_locked',
]

const jsonSchema = (schema: $ZodType, io: 'input' | 'output') => {
  const { $schema, ...rest } = toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'requestId'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    requestId: { type: 'string' },
    clientSecret: { type: 'string' },
    replayed: { const: true },
    left: { type: 'number' },
    used: { type: 'number' },
    needed: { type: 'number' },
    refill: { type: 'string', format: 'uri-reference' },
    account: { type: 'string' },
    key: {
      type: 'object',
      required: ['id'],
      properties: { id: { type: 'string' }, name: { type: 'string' } },
    },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'message'],
        properties: { field: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
}

const failureSchema = {
  type: 'object',
  required: ['status', 'message'],
  properties: { status: { const: 0 }, message: { type: 'string' } },
}

function responses(row: Placed) {
  const success = Object.entries(row.responses).map(([status, schema]) => [
    status,
    {
      description: schema ? 'Done' : 'Done; no body',
      ...(schema && { content: { 'application/json': { schema: jsonSchema(schema, 'output') } } }),
    },
  ])
  const byStatus = Map.groupBy(errorsOf(row), (code) => problems[code].status)
  const failure = [...byStatus].map(([status, codes]) => [
    String(status),
    {
      description: codes.map((code) => `\`${code}\`: ${problems[code].title}`).join('. '),
      content: {
        ...(row.dialect === 'rest' && {
          'application/json': { schema: { $ref: '#/components/schemas/Failure' } },
        }),
        'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
      },
    },
  ])
  return Object.fromEntries([...success, ...failure])
}

interface ObjectSchema {
  properties?: Record<string, unknown>
  required?: string[]
}

function parameters(schema: $ZodType | undefined, place: 'path' | 'query' | 'header') {
  const { properties = {}, required = [] } = schema ? (jsonSchema(schema, 'input') as ObjectSchema) : {}
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }))
}

/** The security schemes of a row. Any one of a list is enough. */
const security: Record<Placed['auth'], Record<string, never[]>[]> = {
  public: [],
  account: [{ accessToken: [] }],
  key: [{ applicationKey: [] }, { apiKeyHeader: [] }, { serviceCredential: [] }],
  operator: [{ iam: [] }],
  'admin-key': [{ adminKey: [] }],
}

/** Headers that OpenAPI describes elsewhere: the security schemes have it. */
const isParameter = ({ name }: { name: string }) => name !== 'authorization'

/** Headers in which a service names its customer, for rows of application keys. */
const customerParameters = Object.entries({
  'x-bursar-key': 'Only from a service: the application key of the customer.',
  'x-bursar-account': 'Only from a service, instead of a key: the id of the account.',
  'x-bursar-ip':
    'Only from a service: the network address of the customer, for keys with a list of addresses.',
} satisfies Record<keyof typeof CUSTOMER_HEADERS, string>).map(([name, description]) => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string' },
}))

function operation(row: Placed, method: string, more: boolean) {
  const types = ['application/json', ...(row.form ? ['application/x-www-form-urlencoded'] : [])]
  const schema = row.body && jsonSchema(row.body, 'input')
  return {
    operationId: `${row.dialect}.${row.name}${more ? `.${method}` : ''}`,
    summary: row.summary,
    ...(row.description !== undefined && { description: row.description }),
    tags: [row.dialect],
    security: row.token === 'optional' ? [...security.account, {}] : security[row.auth],
    parameters: [
      ...parameters(row.path, 'path'),
      ...parameters(row.query, 'query'),
      ...parameters(row.headers, 'header').filter(isParameter),
      ...(row.auth === 'key' ? customerParameters : []),
    ],
    ...(schema && { requestBody: { content: Object.fromEntries(types.map((type) => [type, { schema }])) } }),
    responses: responses(row),
  }
}

function pathsOf(rows: readonly Placed[]) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const row of rows) {
    row.routes.forEach((key, at) => {
      const [method = '', path = ''] = key.split(' ')
      paths[path] ??= {}
      paths[path][method.toLowerCase()] = operation(row, `${method.toLowerCase()}${at}`, at > 0)
    })
  }
  return paths
}

const versionOfPackage = (): string =>
  JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')).version

/**
 * The OpenAPI 3.1 document of the published API. A test compares `functions/openapi.json`, the committed copy, with
 * it.
 */
export const openapi = () => ({
  openapi: '3.1.0',
  info: { title: 'Bursar', version: versionOfPackage(), description: overview },
  paths: pathsOf(customerRows),
  components: {
    securitySchemes: {
      accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      applicationKey: { type: 'http', scheme: 'bearer' },
      apiKeyHeader: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      serviceCredential: { type: 'http', scheme: 'bearer' },
    },
    schemas: { Problem: problemSchema, Failure: failureSchema },
  },
})

/** The document of the operators' endpoints, which customers need not see: `functions/ops/openapi.json`. */
export const operatorsOpenapi = () => ({
  openapi: '3.1.0',
  info: {
    title: 'Bursar for operators',
    version: versionOfPackage(),
    description: operatorsOverview,
  },
  paths: pathsOf([...operatorRows, ...adminKeyRows]),
  components: {
    securitySchemes: {
      iam: {
        type: 'apiKey',
        in: 'header',
        name: 'authorization',
        description: 'AWS Signature Version 4 for the service `execute-api`.',
        'x-amazon-apigateway-authtype': 'awsSigv4',
      },
      adminKey: { type: 'apiKey', in: 'header', name: 'api-key' },
    },
    schemas: { Problem: problemSchema },
  },
})
