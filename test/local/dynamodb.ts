import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { cut, type FaultControls, type OperationFault, operationFaults } from './faults.ts'
import { listen, readBody } from './http.ts'
import { unusedPlaceholders } from './placeholders.ts'

export interface Counts {
  /** HTTP requests by operation, a client's retries and injected faults included. */
  calls: Record<string, number>
  readUnits: number
  writeUnits: number
}

/**
 * A fault of the database, for the operations that the proxy measures. Those that DynamoDB never refuses for a
 * `conflict` (single reads, batches) pass and use nothing up.
 */
export type DynamoFault = OperationFault<'conflict'>

export interface DynamoDouble extends FaultControls<DynamoFault> {
  /** The database itself. */
  rawUrl: string
  /** The counting proxy in front of it. */
  url: string
  counts(): Counts
  resetCounts(): void
  /** Ends the proxy, and the database if it was started here. */
  close(): Promise<void>
}

/**
 * Starts Dynoxide and a proxy that counts calls and capacity units and injects faults. The database dies
 * with this process, however that ends; what it answered is in the data file even then.
 * @param options.dbFile where the data lives; omitted, in memory.
 * @param options.endpoint an http URL of a DynamoDB to use instead of starting one; not AWS's own, since
 * the proxy changes signed requests.
 * @throws Error with a sentence for the person at the terminal.
 */
export async function startDynamo(options: DatabaseOptions = {}): Promise<DynamoDouble> {
  const database = await openDatabase(options)
  const proxy = await startProxy(new URL(database.url))
  const { url, counts, resetCounts, addFault, clearFaults } = proxy
  const close = async () => {
    await proxy.close()
    await database.stop()
  }
  return { rawUrl: database.url, url, counts, resetCounts, addFault, clearFaults, close }
}

// The proxy

type Json = Record<string, unknown>

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/** The operations that report capacity, and which kind each uses. PartiQL is not measured. */
const UNITS: Record<string, 'readUnits' | 'writeUnits'> = {
  GetItem: 'readUnits',
  BatchGetItem: 'readUnits',
  TransactGetItems: 'readUnits',
  Query: 'readUnits',
  Scan: 'readUnits',
  PutItem: 'writeUnits',
  UpdateItem: 'writeUnits',
  DeleteItem: 'writeUnits',
  BatchWriteItem: 'writeUnits',
  TransactWriteItems: 'writeUnits',
}

/** The operations that DynamoDB refuses while a transaction has one of their items. */
const CONFLICTING = ['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems', 'TransactGetItems']

async function startProxy(target: URL) {
  const agent = new Agent({ keepAlive: true })
  const zero = (): Counts => ({ calls: {}, readUnits: 0, writeUnits: 0 })
  let counts = zero()
  const faults = operationFaults(Object.keys(UNITS), { conflict: CONFLICTING })

  /** The answer to one request; undefined: none, cut the connection. */
  const exchange = async (request: IncomingMessage): Promise<Answer | undefined> => {
    const body = await readBody(request)
    const operation = String(request.headers['x-amz-target'] ?? '').split('.')[1]
    if (operation !== undefined) counts.calls[operation] = (counts.calls[operation] ?? 0) + 1
    const input = operation !== undefined && operation in UNITS ? asObject(body) : undefined
    if (operation === undefined || input === undefined) return forward(agent, target, request, body)

    const unused = unusedPlaceholders(input)
    if (unused !== undefined) return refusal(400, 'ValidationException', unused)
    return faults.serve(operation, {
      serve: () => measure(request, body, operation, input),
      refuse: (why) => {
        const refused = refuse(why, operation, input)
        charge(counts, operation, input, asObject(refused.body) ?? {})
        return refused
      },
    })
  }

  /** The database's answer, its capacity counted. The caller sees the capacity only if the request asked for it. */
  const measure = async (
    request: IncomingMessage,
    body: Buffer,
    operation: string,
    input: Json,
  ): Promise<Answer> => {
    const asked = input.ReturnConsumedCapacity === 'TOTAL' || input.ReturnConsumedCapacity === 'INDEXES'
    const measured = asked ? body : toBuffer({ ...input, ReturnConsumedCapacity: 'TOTAL' })
    const answer = await forward(agent, target, request, measured)
    const output = asObject(answer.body) ?? {}
    charge(counts, operation, input, output)
    if (asked || !('ConsumedCapacity' in output)) return answer
    delete output.ConsumedCapacity
    return { ...answer, body: toBuffer(output) }
  }

  const listener = await listen(async (request, response) => {
    const answer = await exchange(request)
    if (answer === undefined) return cut(response)
    const headers = { ...answer.headers, 'content-length': answer.body.length }
    delete headers.connection
    delete headers['transfer-encoding']
    delete headers.date
    if ('x-amz-crc32' in headers) headers['x-amz-crc32'] = String(crc32(answer.body))
    response.writeHead(answer.status, headers).end(answer.body)
  })
  // A client's idle connection must not be closed just as it sends on it.
  listener.server.keepAliveTimeout = 0

  return {
    url: listener.url,
    counts: () => structuredClone(counts),
    resetCounts: () => {
      counts = zero()
    },
    addFault: faults.addFault,
    clearFaults: faults.clearFaults,
    close: async () => {
      faults.close()
      await listener.close()
      agent.destroy()
    },
  }
}

function forward(agent: Agent, target: URL, request: IncomingMessage, body: Buffer): Promise<Answer> {
  const headers = { ...request.headers, host: target.host, 'content-length': body.length }
  // The proxy reads the answer, and the connection to the database is its own.
  delete headers['accept-encoding']
  delete headers.connection
  delete headers['transfer-encoding']
  return new Promise((resolve, reject) => {
    const call = httpRequest(
      target,
      { method: request.method, path: request.url, headers, agent },
      (response) => {
        buffer(response).then(
          (bytes) => resolve({ status: response.statusCode ?? 500, headers: response.headers, body: bytes }),
          reject,
        )
      },
    )
    call.once('error', reject).end(body)
  })
}

/** Adds what an answer says it used, and what DynamoDB charges for refusals that say nothing. */
function charge(counts: Counts, operation: string, input: Json, output: Json): void {
  const kind = UNITS[operation] ?? 'writeUnits'
  const error = String(output.__type ?? '')
  // At least: the units of the item that stands there.
  if (error.endsWith('#ConditionalCheckFailedException')) counts[kind] += 1
  if (error.endsWith('#TransactionCanceledException')) counts[kind] += 2 * itemsOf(input).length
  for (const used of [output.ConsumedCapacity ?? []].flat() as Record<string, number | undefined>[]) {
    const { CapacityUnits = 0, ReadCapacityUnits, WriteCapacityUnits } = used
    if (ReadCapacityUnits === undefined && WriteCapacityUnits === undefined) counts[kind] += CapacityUnits
    counts.readUnits += ReadCapacityUnits ?? 0
    counts.writeUnits += WriteCapacityUnits ?? 0
  }
}

/**
 * DynamoDB's own words for a conflict or a throttle; a transaction has a reason per item instead. The words for a
 * throttle are those of an on-demand table, which ours is.
 */
function refuse(why: 'error' | 'conflict' | 'throttle', operation: string, input: Json): Answer {
  if (why === 'error') return refusal(500, 'InternalServerError', 'A fault was asked for.')
  const { error, reason, message } =
    why === 'conflict'
      ? {
          error: 'TransactionConflictException',
          reason: 'TransactionConflict',
          message: 'Transaction is ongoing for the item',
        }
      : {
          error: 'ThrottlingException',
          reason: 'ThrottlingError',
          message: 'Throughput exceeds the current capacity of your table or index.',
        }
  if (!operation.startsWith('Transact')) return refusal(400, error, message)
  const reasons = itemsOf(input).map((_, index) =>
    index === 0 ? { Code: reason, Message: message } : { Code: 'None' },
  )
  const codes = reasons.map(({ Code }) => Code).join(', ')
  const summary = `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes}]`
  return refusal(400, 'TransactionCanceledException', summary, { CancellationReasons: reasons })
}

function refusal(status: number, type: string, message: string, more: Json = {}): Answer {
  // A transaction's message is spelled with a capital, every other one without.
  const key = 'CancellationReasons' in more ? 'Message' : 'message'
  const body = toBuffer({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, [key]: message, ...more })
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-crc32': '' }
  return { status, headers, body }
}

function itemsOf(input: Json): unknown[] {
  return Array.isArray(input.TransactItems) ? input.TransactItems : []
}

function asObject(body: Buffer): Json | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined
  } catch {
    return undefined
  }
}

function toBuffer(value: Json): Buffer {
  return Buffer.from(JSON.stringify(value))
}
