import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { crc32 } from 'node:zlib'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { cut, type FaultControls, type OperationFault, operationFaults } from './faults.ts'
import { listen, readBody } from './http.ts'
import { mistakeOf } from './judge.ts'

export interface Counts {
  /** HTTP requests by operation, including a client's retries and requests that met a fault. */
  calls: Record<string, number>
  readUnits: number
  writeUnits: number
}

/**
 * A fault of the database, for the operations that the proxy measures. Operations that DynamoDB never refuses
 * for a `conflict` (single reads, batches) pass without using up one of the fault's `times`.
 */
export type DynamoFault = OperationFault<'conflict'>

export interface DynamoDouble extends FaultControls<DynamoFault> {
  /** The database itself. */
  rawUrl: string
  /** The counting proxy in front of it. */
  url: string
  counts(): Counts
  /** The write units that went to each index, which are part of those in `counts`. */
  indexUnits(): Record<string, number>
  resetCounts(): void
  /** Why requests were refused that DynamoDB would refuse too, and that the database takes. */
  mistakes: string[]
  /** Serves one request without the way over the proxy's socket. Undefined stands for a connection that is cut. */
  exchange(headers: IncomingHttpHeaders, body: string): Promise<Answer | undefined>
  /** Stops the proxy, and the database if `startDynamo` started it. */
  close(): Promise<void>
}

/**
 * Starts Dynoxide and a proxy that counts calls and capacity units and injects faults. The database ends
 * with this process, even if this process is killed; every write that was answered is then in the data file.
 * @param options.dbFile the data file; without it the data is in memory.
 * @param options.endpoint an http URL of a running DynamoDB to use instead. AWS's own does not work, because
 * the proxy changes signed requests.
 * @throws Error with a message for the person at the terminal.
 */
export async function startDynamo(options: DatabaseOptions = {}): Promise<DynamoDouble> {
  const database = await openDatabase(options)
  const proxy = await startProxy(new URL(database.url))
  const { close: _, ...rest } = proxy
  const close = async () => {
    await proxy.close()
    await database.stop()
  }
  return { ...rest, rawUrl: database.url, close }
}

// The proxy

type Json = Record<string, unknown>

/** DynamoDB's account of what a request has consumed, as far as it is counted. */
interface ConsumedCapacity {
  CapacityUnits?: number
  ReadCapacityUnits?: number
  WriteCapacityUnits?: number
  GlobalSecondaryIndexes?: Record<string, { CapacityUnits?: number }>
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** JSON. Node sends text along with the headers, and bytes apart. */
  body: string
}

/** The operations that report capacity, each with the kind of unit. PartiQL is not measured. */
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

/** The operations that DynamoDB refuses while a transaction is writing one of their items. */
const CONFLICTING = ['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems', 'TransactGetItems']

async function startProxy(target: URL) {
  const agent = new Agent({ keepAlive: true })
  const zero = (): Counts => ({ calls: {}, readUnits: 0, writeUnits: 0 })
  let counts = zero()
  const mistakes: string[] = []
  let indexUnits: Record<string, number> = {}
  const faults = operationFaults(Object.keys(UNITS), { conflict: CONFLICTING })

  /** The answer to one request; undefined means that the connection is cut without an answer. */
  const exchange = async (headers: IncomingHttpHeaders, body: string): Promise<Answer | undefined> => {
    const operation = String(headers['x-amz-target'] ?? '').split('.')[1]
    if (operation !== undefined) counts.calls[operation] = (counts.calls[operation] ?? 0) + 1
    const input = operation !== undefined && operation in UNITS ? asObject(body) : undefined
    if (operation === undefined || input === undefined) return forward(agent, target, headers, body)

    const mistake = mistakeOf(operation, input)
    if (mistake !== undefined) {
      mistakes.push(`${operation}: ${mistake}`)
      return refusal(400, 'ValidationException', mistake)
    }
    return faults.serve(operation, {
      serve: () => measure(headers, body, operation, input),
      refuse: (why) => {
        const refused = refuse(why, operation, input)
        charge(counts, operation, input, asObject(refused.body) ?? {})
        return refused
      },
    })
  }

  /** Counts the capacity in the database's answer; the caller sees it only if the request asked for it. */
  const measure = async (
    headers: IncomingHttpHeaders,
    body: string,
    operation: string,
    input: Json,
  ): Promise<Answer> => {
    const asked = input.ReturnConsumedCapacity === 'TOTAL' || input.ReturnConsumedCapacity === 'INDEXES'
    const measured = asked ? body : JSON.stringify({ ...input, ReturnConsumedCapacity: 'INDEXES' })
    const answer = await forward(agent, target, headers, measured)
    const output = asObject(answer.body) ?? {}
    charge(counts, operation, input, output)
    if (UNITS[operation] === 'writeUnits') chargeIndexes(indexUnits, output)
    if (asked || !('ConsumedCapacity' in output)) return answer
    delete output.ConsumedCapacity
    return { ...answer, body: JSON.stringify(output) }
  }

  const listener = await listen(async (request, response) => {
    const answer = await exchange(request.headers, (await readBody(request)).toString())
    if (answer === undefined) return cut(response)
    const headers = { ...answer.headers, 'content-length': Buffer.byteLength(answer.body) }
    delete headers.connection
    delete headers['transfer-encoding']
    delete headers.date
    if ('x-amz-crc32' in headers) headers['x-amz-crc32'] = String(crc32(answer.body))
    response.writeHead(answer.status, headers).end(answer.body)
  })
  // Idle connections stay open: the proxy could close one at the moment when a client sends a request.
  listener.server.keepAliveTimeout = 0

  return {
    url: listener.url,
    exchange,
    mistakes,
    counts: () => ({ ...counts, calls: { ...counts.calls } }),
    indexUnits: () => ({ ...indexUnits }),
    resetCounts: () => {
      counts = zero()
      indexUnits = {}
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

/** DynamoDB takes every request as a POST to `/`. */
function forward(agent: Agent, target: URL, sent: IncomingHttpHeaders, body: string): Promise<Answer> {
  const headers = { ...sent, host: target.host, 'content-length': Buffer.byteLength(body) }
  // The answer must not be compressed, because the proxy reads the answer. The proxy's connection to the
  // database is separate from the client's.
  delete headers['accept-encoding']
  delete headers.connection
  delete headers['transfer-encoding']
  return new Promise((resolve, reject) => {
    const call = httpRequest(target, { method: 'POST', headers, agent }, (response) => {
      readBody(response).then(
        (bytes) =>
          resolve({
            status: response.statusCode ?? 500,
            headers: response.headers,
            body: bytes.toString(),
          }),
        reject,
      )
    })
    call.once('error', reject).end(body)
  })
}

/** Adds the capacity that an answer reports, or that DynamoDB charges for a refusal without a report. */
function charge(counts: Counts, operation: string, input: Json, output: Json): void {
  const kind = UNITS[operation] ?? 'writeUnits'
  const error = String(output.__type ?? '')
  // This is the minimum; DynamoDB charges by the size of the existing item.
  if (error.endsWith('#ConditionalCheckFailedException')) counts[kind] += 1
  if (error.endsWith('#TransactionCanceledException')) counts[kind] += 2 * itemsOf(input).length
  for (const { CapacityUnits = 0, ReadCapacityUnits, WriteCapacityUnits } of capacityIn(output)) {
    if (ReadCapacityUnits === undefined && WriteCapacityUnits === undefined) counts[kind] += CapacityUnits
    counts.readUnits += ReadCapacityUnits ?? 0
    counts.writeUnits += WriteCapacityUnits ?? 0
  }
}

/** Adds the part of an answer's capacity that went to indexes. */
function chargeIndexes(units: Record<string, number>, output: Json): void {
  for (const { GlobalSecondaryIndexes = {} } of capacityIn(output))
    for (const [index, { CapacityUnits = 0 }] of Object.entries(GlobalSecondaryIndexes))
      units[index] = (units[index] ?? 0) + CapacityUnits
}

/** The members of the answer that report capacity: one, or one for each table. */
const capacityIn = (output: Json) => [output.ConsumedCapacity ?? []].flat() as ConsumedCapacity[]

/**
 * DynamoDB's own messages for a conflict or a throttle; a transaction gets a reason for each item instead.
 * The message for a throttle is that of an on-demand table, because Bursar's table is on demand.
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
  // The field is `Message` in a cancelled transaction and `message` in every other error.
  const key = 'CancellationReasons' in more ? 'Message' : 'message'
  const body = JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, [key]: message, ...more })
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-crc32': '' }
  return { status, headers, body }
}

function itemsOf(input: Json): unknown[] {
  return Array.isArray(input.TransactItems) ? input.TransactItems : []
}

function asObject(body: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined
  } catch {
    return undefined
  }
}
