import type { ErrorCode } from '../../core/errors.ts'
import type { Shapes } from './openapi-components.ts'
import type { Example } from './openapi-examples.ts'
import { failureHeaders, headersOf, successHeaders } from './openapi-headers.ts'
import { parametersOf } from './openapi-parameters.ts'
import { nameOfCode } from './openapi-problems.ts'
import { type JsonSchema, refTo } from './openapi-schemas.ts'
import { tagOf } from './openapi-tags.ts'
import { problems } from './problems.ts'
import type { Placed, RouteKey } from './route.ts'
import { errorsOf } from './row-errors.ts'

const DONE: Readonly<Record<number, string>> = {
  200: 'Done',
  201: 'Made',
  202: 'Accepted, and not finished yet',
  204: 'Done; no body',
}

function successes(row: Placed, shapes: Shapes, answers: Example['answers'] = {}) {
  const headers = headersOf(successHeaders(row))
  return Object.entries(row.responses).map(([status, schema]) => {
    const media = schema && { schema: shapes.answered(schema), example: answers[status] }
    const description = DONE[Number(status)] ?? 'Done'
    return [
      status,
      {
        description: media ? description : `${description.replace('; no body', '')}; no body`,
        ...headers,
        ...(media && { content: { 'application/json': media } }),
      },
    ] as const
  })
}

/** What the gateway answers by itself, as `{"message": …}`, by status. */
export const gatewayAnswers = ({ auth }: Placed): Record<number, string> => ({
  ...(auth === 'account' && {
    401: 'no access token was sent',
    403: 'the access token is not genuine, or so old that its session is over',
  }),
  ...(auth === 'operator' && { 403: 'the signature is wrong, or its owner may not call this' }),
  413: 'the body is larger than 10 MB',
  429: 'the deployment receives too many requests at once',
  500: 'the function has failed',
  503: 'the function did not answer in time',
})

const anyOf = (schemas: readonly JsonSchema[]): JsonSchema =>
  schemas.length === 1 ? { ...schemas[0] } : { anyOf: schemas }

const problemOf = (code: ErrorCode): JsonSchema => refTo(nameOfCode(code))

function failures(row: Placed) {
  const gateway = gatewayAnswers(row)
  const codes = new Map<number, ErrorCode[]>(Object.keys(gateway).map((status) => [Number(status), []]))
  for (const code of errorsOf(row)) {
    const { status } = problems[code]
    codes.set(status, [...(codes.get(status) ?? []), code])
  }
  return [...codes]
    .sort(([a], [b]) => a - b)
    .map(([status, of]) => {
      const messages = [
        ...(row.dialect === 'rest' && of.length > 0 ? [refTo('Failure')] : []),
        ...(gateway[status] === undefined ? [] : [refTo('GatewayFailure')]),
      ]
      const said = of.map((code) => `\`${code}\`: ${problems[code].title}`)
      if (gateway[status] !== undefined) said.push(`\`{"message": …}\` of the gateway: ${gateway[status]}`)
      const types = [
        ...(messages.length > 0 ? [['application/json', { schema: anyOf(messages) }] as const] : []),
        ...(of.length > 0
          ? [['application/problem+json', { schema: unionOf(of.map(problemOf)) }] as const]
          : []),
      ]
      return [
        String(status),
        {
          description: said.join('. '),
          ...headersOf(failureHeaders(row, status, of)),
          // Generators that know one content type take the first one: what callers get who ask for none.
          content: Object.fromEntries(row.dialect === 'rest' ? types : types.reverse()),
        },
      ] as const
    })
}

const unionOf = (schemas: readonly JsonSchema[]): JsonSchema =>
  schemas.length === 1 ? { ...schemas[0] } : { oneOf: schemas }

/** The security schemes of a row. Any one of a list is enough. */
const security: Record<Placed['auth'], Record<string, never[]>[]> = {
  public: [],
  account: [{ accessToken: [] }],
  key: [{ applicationKey: [] }, { apiKeyHeader: [] }, { serviceCredential: [] }],
  operator: [{ iam: [] }],
  'admin-key': [{ adminKey: [] }],
}

/** What a body of unparsed bytes is. */
const RAW = { type: 'object', description: 'An event, exactly as its sender has signed it.' }

function requestBody(row: Placed, shapes: Shapes, example: Example) {
  if (!row.body && !row.raw) return undefined
  const types = ['application/json', ...(row.form ? ['application/x-www-form-urlencoded'] : [])]
  const media = {
    schema: row.body ? shapes.sent(row.body) : RAW,
    example: example.body,
  }
  return {
    required: row.body?._zod.optin !== 'optional',
    content: Object.fromEntries(types.map((type) => [type, media])),
  }
}

/** A GET with a body is taken, since GreenCloud's page has one, but neither browsers nor generated clients send it. */
const isSendable = ({ body }: Placed, key: RouteKey): boolean => !(body && key.startsWith('GET '))

const bareKey = (key: RouteKey): string => key.replace(/\/$/, '')

/** The route of a row that its callers should use. The others are aliases. */
export const mainRoute = (row: Placed): RouteKey =>
  row.routes.find((key) => isSendable(row, key)) ?? row.routes[0]

/** The routes that the document has: an alias that only ends in a slash is told in the description of the other. */
export const documentedRoutes = ({ routes }: Placed): RouteKey[] =>
  routes.filter((key) => !key.endsWith('/') || !routes.some((other) => other === bareKey(key)))

function describe(row: Placed, key: RouteKey): string | undefined {
  const { description } = row
  const main = mainRoute(row)
  if (key !== main) {
    const note = isSendable(row, key)
      ? `The same as \`${main}\`.`
      : `The same as \`${main}\`, with the same body, which browsers and most clients do not send with GET.`
    return `${note}\n\n${description}`
  }
  const slashed = row.routes.find((other) => other !== key && bareKey(other) === key)
  return slashed ? `${description}\n\n\`${slashed}\` is the same.` : description
}

/** What the document says of a route of a row. */
export function operation(row: Placed, key: RouteKey, shapes: Shapes, example: Example = {}) {
  const isAlias = key !== mainRoute(row)
  const suffix = isAlias ? `.${key.split(' ')[0]?.toLowerCase()}${row.routes.indexOf(key)}` : ''
  const body = isSendable(row, key) ? requestBody(row, shapes, example) : undefined
  return {
    operationId: `${row.dialect}.${row.name}${suffix}`,
    summary: row.summary,
    description: describe(row, key),
    tags: [tagOf(key)],
    ...(isAlias && { deprecated: true }),
    security: row.token === 'optional' ? [...security.account, {}] : security[row.auth],
    parameters: parametersOf(row, shapes, example),
    ...(body && { requestBody: body }),
    responses: Object.fromEntries<JsonSchema>([...successes(row, shapes, example.answers), ...failures(row)]),
  }
}
