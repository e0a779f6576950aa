import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync } from 'node:fs'
import type { ClientRequest } from 'node:http'
import type { Purpose } from '../../core/purposes.ts'
import type { Grant } from '../../functions/http/needs.ts'

/**
 * Which function asks AWS for what: every signed request that a function sends in a test, as IAM would see it. Tests of a
 * file fail if a function asks for something that the deployment does not grant it, and `npm run record` keeps all of it
 * in `test/infra/calls.json` for an independent judge.
 */
interface Shared {
  running: AsyncLocalStorage<string>
  /** The calls so far, by function, each as `callText` writes it. */
  seen: Map<string, Set<string>>
}

const shared = globalThis as { awsCalls?: Shared }
shared.awsCalls ??= start()
const { running, seen } = shared.awsCalls

/** Runs a function of the deployment, by its file: `functions/v1/login.ts`. */
export const asFunction = <T>(file: string, run: () => T): T =>
  running.run(
    file
      .replace(/^functions\//, '')
      .replace(/\.ts$/, '')
      .replaceAll('/', '-'),
    run,
  )

/** Notes a signed request of the function that runs, if one does. */
export function noteCall(headers: Readonly<Record<string, unknown>>, path: string, body: string): void {
  const name = running.getStore()
  if (name === undefined || !String(headers.authorization ?? '').startsWith('AWS4-')) return
  const calls = seen.get(name) ?? new Set()
  seen.set(name, calls)
  for (const call of callsIn(String(headers['x-amz-target'] ?? ''), path, body)) calls.add(call)
}

/** Notes for what the function that runs uses the root secret. */
export function notePurpose(purpose: Purpose): void {
  const name = running.getStore()
  if (name !== undefined) seen.set(name, (seen.get(name) ?? new Set()).add(`${KEYRING}${purpose}`))
}

const KEYRING = 'keyring '

/**
 * The calls since the last look that the deployment does not grant to their function. With `RECORD_CALLS=<file>` all calls
 * are added to that file, for `npm run record`.
 */
export async function ungrantedCalls(): Promise<string[]> {
  // Only now, because this module is loaded before the test file, which may replace modules of rows.
  const { functions } = await import('../../functions/deploy/functions.ts')
  const { grantsOf, purposesOf } = await import('../../functions/deploy/permissions.ts')
  const calls = [...seen].flatMap(([name, texts]) => [...texts].map((text) => [name, text] as const))
  seen.clear()
  const grantsIn = (name: string) => {
    const fn = functions.find((each) => each.name === name)
    return fn ? grantsOf(fn) : []
  }
  const hasKey = (name: string, text: string) => {
    const fn = functions.find((each) => each.name === name)
    return fn !== undefined && purposesOf(fn).some((purpose) => text === `${KEYRING}${purpose}`)
  }
  const granted = Map.groupBy(calls, ([name, text]) =>
    text.startsWith(KEYRING) ? hasKey(name, text) : isGranted(grantsIn(name), text),
  )
  const { RECORD_CALLS } = process.env
  if (RECORD_CALLS)
    appendFileSync(
      RECORD_CALLS,
      (granted.get(true) ?? [])
        .filter(([, text]) => !text.startsWith(KEYRING))
        .map((call) => `${call.join('\t')}\n`)
        .join(''),
    )
  return (granted.get(false) ?? []).map((call) => call.join(' calls '))
}

function isGranted(all: readonly Grant[], text: string): boolean {
  const [action = '', on = ''] = text.split(' ')
  const grants = all.filter(({ actions }) => actions.includes(action))
  if (!action.startsWith('dynamodb:')) return grants.length > 0
  if (on.startsWith('index/'))
    return grants.some((grant) => grant.on.some((index) => `index/${index}` === `${on}Index`))
  return on
    .split('+')
    .every((partition) =>
      grants.some(({ when = [] }) =>
        when.some(({ values }) => values.some((value) => value === partition || value === `${partition}*`)),
      ),
    )
}

/** Listens to the requests of all clients. */
function start(): Shared {
  const started: Shared = { running: new AsyncLocalStorage(), seen: new Map() }
  subscribe('http.client.request.created', (message) => {
    if (started.running.getStore() === undefined) return
    const { request } = message as { request: ClientRequest }
    const chunks: Buffer[] = []
    const keep = (chunk: unknown) => {
      if (typeof chunk === 'string' || chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
    }
    const { write, end } = request
    request.write = ((chunk: unknown, ...rest: unknown[]) => {
      keep(chunk)
      return Reflect.apply(write, request, [chunk, ...rest])
    }) as typeof write
    request.end = ((...given: unknown[]) => {
      keep(given[0])
      noteCall(request.getHeaders(), request.path, Buffer.concat(chunks).toString())
      return Reflect.apply(end, request, given)
    }) as typeof end
  })
  return started
}

type Json = Record<string, unknown>

/** The calls that a request asks IAM about, each as one text: the action, then what its conditions are about. */
function callsIn(target: string, path: string, body: string): string[] {
  const [service = '', operation = ''] = target.split('.')
  const input = (body === '' ? {} : JSON.parse(body)) as Json
  if (service.startsWith('DynamoDB')) return tableCalls(operation, input)
  if (service === 'AWSCognitoIdentityProviderService') return [`cognito-idp:${operation}`]
  if (service === 'TrentService')
    return [`kms:${operation} ${Object.keys((input.EncryptionContext ?? {}) as object).join('+')}`]
  if (service === 'AWSEvents') return [`events:${operation}`]
  const [, invoked] = /\/functions\/([^/]+)\/invocations$/.exec(path) ?? []
  if (invoked !== undefined)
    return [`lambda:InvokeFunction ${decodeURIComponent(invoked).replace(/^.*-(?=jobs-)/, '')}`]
  if (path === '/v2/email/outbound-emails') return ['ses:SendEmail']
  throw new Error(
    `A function calls ${target || path}, which tests do not know. Teach it to test/support/aws-calls.ts.`,
  )
}

/** A transaction asks for the permission of each of its writes. */
const WRITES = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'ConditionCheckItem',
}

function tableCalls(operation: string, input: Json): string[] {
  const call = (action: string, items: readonly unknown[]) =>
    `dynamodb:${action} ${partitionsOf(items).join('+')}`
  if (operation === 'TransactWriteItems')
    return (input.TransactItems as Record<string, Json>[]).flatMap((item) =>
      Object.entries(item).map(([kind, write]) =>
        call(WRITES[kind as keyof typeof WRITES], [write.Item ?? write.Key]),
      ),
    )
  if (operation === 'Query') {
    if (input.IndexName) return [`dynamodb:Query index/${input.IndexName}`]
    const [, of = ''] = /#pk = (:\w+)/.exec(String(input.KeyConditionExpression)) ?? []
    return [call('Query', [{ pk: (input.ExpressionAttributeValues as Json)[of] }])]
  }
  if (operation === 'BatchGetItem')
    return Object.values(input.RequestItems as Record<string, { Keys: unknown[] }>).map(({ Keys }) =>
      call(operation, Keys),
    )
  if (operation === 'BatchWriteItem')
    return Object.values(input.RequestItems as Record<string, { PutRequest: { Item: unknown } }[]>).map(
      (items) =>
        call(
          operation,
          items.map(({ PutRequest }) => PutRequest.Item),
        ),
    )
  return [call(operation, [input.Item ?? input.Key])]
}

/** The partitions of items without the part that names one of its kind: `ACCOUNT#`, `PLANS`. */
const partitionsOf = (items: readonly unknown[]): string[] =>
  [...new Set(items.map((item) => (item as { pk: { S: string } }).pk.S.replace(/#.*$/s, '#')))].sort()
