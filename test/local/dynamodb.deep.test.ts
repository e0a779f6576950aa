import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { crc32 } from 'node:zlib'
import {
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type DynamoDouble, startDynamo } from './dynamodb.ts'

const TABLE = {
  TableName: 'things',
  KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' as const }],
  AttributeDefinitions: [
    { AttributeName: 'pk', AttributeType: 'S' as const },
    { AttributeName: 'due', AttributeType: 'S' as const },
  ],
  GlobalSecondaryIndexes: [
    {
      IndexName: 'due',
      KeySchema: [{ AttributeName: 'due', KeyType: 'HASH' as const }],
      Projection: { ProjectionType: 'KEYS_ONLY' as const },
    },
  ],
  BillingMode: 'PAY_PER_REQUEST' as const,
}

let folder: string
let dynamo: DynamoDouble
let client: DynamoDBClient

function clientOf(endpoint: string, maxAttempts = 1): DynamoDBClient {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  return new DynamoDBClient({ endpoint, region: 'us-east-1', credentials, maxAttempts })
}

/** Sends one call over the wire, without the SDK. */
async function call(url: string, operation: string, input: object) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `DynamoDB_20120810.${operation}`,
      'x-amz-date': '20260101T000000Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, ' +
        'SignedHeaders=host, Signature=00',
    },
    body: JSON.stringify(input),
  })
  const body = Buffer.from(await response.arrayBuffer())
  return { status: response.status, headers: response.headers, body, json: JSON.parse(body.toString()) }
}

const put = (pk: string, more: object = {}) => ({ TableName: 'things', Item: { pk: { S: pk } }, ...more })
const key = (pk: string, more: object = {}) => ({ TableName: 'things', Key: { pk: { S: pk } }, ...more })
const onlyIfNew = { ConditionExpression: 'attribute_not_exists(pk)' }

/** The other processes that have the words on their command line. */
function processesWith(words: string): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || name === String(process.pid)) return false
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(words)
    } catch {
      return false
    }
  })
}

/** Starts a Node process that runs `script`, and reads the first line of its output. */
async function childRunning(script: string, cwd = process.cwd(), env = process.env) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd,
    env,
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { child, line }
}

/** A child process that keeps the database on `dbFile` open until it is killed. Its first line is the URL. */
function holder(dbFile: string) {
  const module = pathToFileURL(join(import.meta.dirname, 'dynamodb.ts')).href
  return childRunning(`
    const { startDynamo } = await import(${JSON.stringify(module)})
    console.log((await startDynamo({ dbFile: ${JSON.stringify(dbFile)} })).rawUrl)`)
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bursar-dynamodb-'))
  dynamo = await startDynamo()
  client = clientOf(dynamo.url)
  await client.send(new CreateTableCommand(TABLE))
})
beforeEach(() => {
  dynamo.clearFaults()
  dynamo.resetCounts()
})
afterAll(async () => {
  client.destroy()
  await dynamo.close()
  rmSync(folder, { recursive: true })
})

describe('the count', () => {
  const written = [{ Put: put('t1') }, { Update: key('t2', { UpdateExpression: 'REMOVE x' }) }]
  const large = { pk: { S: 'large' }, text: { S: 'x'.repeat(1500) } }

  beforeAll(async () => {
    await client.send(new PutItemCommand(put('old')))
    await client.send(new PutItemCommand({ TableName: 'things', Item: large }))
  })

  test.each([
    ['a small write as one unit', 'PutItem', put('a'), 0, 1],
    ['a write over 1 KB as two units', 'PutItem', { TableName: 'things', Item: large }, 0, 2],
    ['an entry in an index as one unit more', 'PutItem', indexed('g1'), 0, 2],
    ['a read as half a unit', 'GetItem', key('old'), 0.5, 0],
    ['a consistent read as one unit', 'GetItem', key('old', { ConsistentRead: true }), 1, 0],
    ['a read that finds nothing too', 'GetItem', key('none'), 0.5, 0],
    ['a query as a read', 'Query', queryFor('old'), 0.5, 0],
    ['a batch of reads', 'BatchGetItem', batchGet('old', 'none'), 1, 0],
    ['a batch of writes', 'BatchWriteItem', batchPut('b1', 'b2'), 0, 2],
    ['a transaction as two units an item', 'TransactWriteItems', { TransactItems: written }, 0, 4],
    ['a transaction of reads', 'TransactGetItems', { TransactItems: [{ Get: key('old') }] }, 2, 0],
    ['a refused condition as one unit', 'PutItem', put('old', onlyIfNew), 0, 1],
    [
      'a cancelled transaction as two units an item',
      'TransactWriteItems',
      { TransactItems: [...written, { Put: put('old', onlyIfNew) }] },
      0,
      6,
    ],
    ['an invalid request as a call without units', 'PutItem', { TableName: 'things', Item: {} }, 0, 0],
    ['a control operation as a call without units', 'DescribeTable', { TableName: 'things' }, 0, 0],
  ])('takes %s', async (_, operation, input, readUnits, writeUnits) => {
    await call(dynamo.url, operation, input)
    expect(dynamo.counts()).toEqual({ calls: { [operation]: 1 }, readUnits, writeUnits })
    await call(dynamo.url, operation, { ...input, ReturnConsumedCapacity: 'INDEXES' })
    expect(dynamo.counts().calls).toEqual({ [operation]: 2 })
  })

  test('is the same whether or not the caller asked for capacity', async () => {
    for (const ReturnConsumedCapacity of [undefined, 'NONE', 'TOTAL', 'INDEXES'] as const) {
      dynamo.resetCounts()
      await client.send(new UpdateItemCommand({ ...key('same'), ReturnConsumedCapacity }))
      expect(dynamo.counts()).toEqual({ calls: { UpdateItem: 1 }, readUnits: 0, writeUnits: 1 })
    }
  })

  test('counts a transaction repeated with its token as reads, as DynamoDB does', async () => {
    const input = { TransactItems: [{ Put: put('token') }], ClientRequestToken: 'the-same-token' }
    await client.send(new TransactWriteItemsCommand(input))
    await client.send(new TransactWriteItemsCommand(input))
    expect(dynamo.counts()).toEqual({ calls: { TransactWriteItems: 2 }, readUnits: 2, writeUnits: 2 })
  })

  test('starts again at zero after a reset, and counts that were read before do not change', async () => {
    await client.send(new PutItemCommand(put('a')))
    const before = dynamo.counts()
    dynamo.resetCounts()
    await client.send(new GetItemCommand(key('a')))
    expect(before).toEqual({ calls: { PutItem: 1 }, readUnits: 0, writeUnits: 1 })
    expect(dynamo.counts()).toEqual({ calls: { GetItem: 1 }, readUnits: 0.5, writeUnits: 0 })
  })

  test('leaves out requests that go directly to the database', async () => {
    await call(dynamo.rawUrl, 'GetItem', key('old'))
    expect(dynamo.counts().calls).toEqual({})
  })
})

describe('an answer through the proxy', () => {
  test('is the database’s own, whether or not capacity was asked for', async () => {
    for (const ReturnConsumedCapacity of [undefined, 'NONE', 'TOTAL', 'INDEXES']) {
      const input = put('same', { ReturnConsumedCapacity, ReturnValues: 'ALL_OLD' })
      await call(dynamo.rawUrl, 'PutItem', input)
      const own = await call(dynamo.rawUrl, 'PutItem', input)
      const proxied = await call(dynamo.url, 'PutItem', input)
      expect(proxied.json).toEqual(own.json)
      expect(proxied.status).toBe(own.status)
    }
  })

  test('carries the checksum and the length of its actual body', async () => {
    const { body, headers } = await call(dynamo.url, 'PutItem', put('sum'))
    expect(headers.get('x-amz-crc32')).toBe(String(crc32(body)))
    expect(headers.get('content-length')).toBe(String(body.length))
  })

  test('keeps binary values, text of any script and the word ReturnConsumedCapacity in an item', async () => {
    const Item = {
      pk: { S: '"ReturnConsumedCapacity": "NONE" 🚲' },
      ConsumedCapacity: { B: Uint8Array.from([0, 255, 128]) },
      amount: { N: '12345678901234567890123456789012345678' },
    }
    await client.send(new PutItemCommand({ TableName: 'things', Item }))
    const { Item: read } = await client.send(
      new GetItemCommand({ TableName: 'things', Key: { pk: Item.pk } }),
    )
    expect(read).toEqual(Item)
    expect(dynamo.counts()).toEqual({
      calls: { PutItem: 1, GetItem: 1 },
      readUnits: 0.5,
      writeUnits: 1,
    })
  })

  test('to a body that is not JSON is the database’s own refusal', async () => {
    const answers = [dynamo.rawUrl, dynamo.url].map(async (url) => {
      const headers = {
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': 'DynamoDB_20120810.PutItem',
      }
      const response = await fetch(url, { method: 'POST', headers, body: '{' })
      return { status: response.status, text: await response.text() }
    })
    const [own, proxied] = await Promise.all(answers)
    expect(own?.status).toBe(400)
    expect(proxied).toEqual(own)
  })
})

describe('a fault', () => {
  const stands = async (pk: string) =>
    (await call(dynamo.rawUrl, 'GetItem', key(pk, { ConsistentRead: true }))).json.Item !== undefined

  test('before: 500, and nothing is written', async () => {
    dynamo.addFault({ fault: 'error-before', times: 1 })
    await expect(client.send(new PutItemCommand(put('before')))).rejects.toMatchObject({
      name: 'InternalServerError',
      $metadata: { httpStatusCode: 500 },
    })
    expect(await stands('before')).toBe(false)
    expect(dynamo.counts()).toEqual({ calls: { PutItem: 1 }, readUnits: 0, writeUnits: 0 })
  })

  test('after: a lost reply leaves the write in place', async () => {
    dynamo.addFault({ fault: 'lose-reply-after-commit', times: 1 })
    await expect(client.send(new PutItemCommand(put('after')))).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(await stands('after')).toBe(true)
    expect(dynamo.counts()).toEqual({ calls: { PutItem: 1 }, readUnits: 0, writeUnits: 1 })
  })

  test('conflict: a single write gets TransactionConflictException', async () => {
    dynamo.addFault({ fault: 'conflict', times: 1 })
    await expect(client.send(new PutItemCommand(put('conflict')))).rejects.toMatchObject({
      name: 'TransactionConflictException',
      message: 'Transaction is ongoing for the item',
    })
    expect(await stands('conflict')).toBe(false)
  })

  test('conflict: a transaction is cancelled with a reason per item, for two units an item', async () => {
    dynamo.addFault({ fault: 'conflict', match: 'TransactWriteItems', times: 1 })
    const transaction = new TransactWriteItemsCommand({
      TransactItems: [{ Put: put('conflict1') }, { Put: put('conflict2') }],
    })
    await expect(client.send(transaction)).rejects.toMatchObject({
      name: 'TransactionCanceledException',
      message:
        'Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict, None]',
      CancellationReasons: [
        { Code: 'TransactionConflict', Message: 'Transaction is ongoing for the item' },
        { Code: 'None' },
      ],
    })
    expect(await stands('conflict1')).toBe(false)
    expect(dynamo.counts().writeUnits).toBe(4)
  })

  test('conflict: a read is never refused, and leaves the fault for the next write', async () => {
    dynamo.addFault({ fault: 'conflict', times: 1 })
    await client.send(new GetItemCommand(key('any')))
    await expect(client.send(new PutItemCommand(put('any')))).rejects.toThrow('ongoing')
  })

  test('throttle: the SDK recognises the error and retries', async () => {
    dynamo.addFault({ fault: 'throttle', times: 1 })
    const patient = clientOf(dynamo.url, 2)
    const { $metadata } = await patient.send(new PutItemCommand(put('throttled')))
    expect($metadata.attempts).toBe(2)
    expect(dynamo.counts()).toEqual({ calls: { PutItem: 2 }, readUnits: 0, writeUnits: 1 })
    patient.destroy()
  })

  test('throttle: a transaction gives it as the cancellation reason', async () => {
    dynamo.addFault({ fault: 'throttle', times: 1 })
    const transaction = new TransactWriteItemsCommand({ TransactItems: [{ Put: put('throttled2') }] })
    await expect(client.send(transaction)).rejects.toMatchObject({
      name: 'TransactionCanceledException',
      CancellationReasons: [{ Code: 'ThrottlingError' }],
    })
  })

  test('affects only the operation it names, `times` times', async () => {
    dynamo.addFault({ fault: 'error-before', match: 'PutItem', times: 2 })
    const statuses = []
    for (const operation of ['GetItem', 'PutItem', 'GetItem', 'PutItem', 'PutItem']) {
      const input = operation === 'PutItem' ? put('named') : key('named')
      statuses.push((await call(dynamo.url, operation, input)).status)
    }
    expect(statuses).toEqual([200, 500, 200, 500, 200])
  })

  test('without `times` lasts until the faults are cleared', async () => {
    dynamo.addFault({ fault: 'error-before' })
    for (let tries = 0; tries < 20; tries += 1) {
      expect((await call(dynamo.url, 'GetItem', key('lasting'))).status).toBe(500)
    }
    dynamo.clearFaults()
    expect((await call(dynamo.url, 'GetItem', key('lasting'))).status).toBe(200)
  })
})

describe('the database', () => {
  test('keeps its data in the file from one start to the next', async () => {
    const dbFile = join(folder, 'made', 'on', 'demand', 'kept.db')
    const first = await startDynamo({ dbFile })
    await call(first.url, 'CreateTable', TABLE)
    await call(first.url, 'PutItem', put('kept'))
    await first.close()
    const second = await startDynamo({ dbFile })
    expect((await call(second.url, 'GetItem', key('kept'))).json.Item).toEqual({ pk: { S: 'kept' } })
    await second.close()
  })

  test('leaves no process behind after close', async () => {
    const dbFile = join(folder, 'closed.db')
    const database = await startDynamo({ dbFile })
    expect(processesWith(dbFile).length).toBeGreaterThan(0)
    await database.close()
    expect(processesWith(dbFile)).toEqual([])
    await expect(fetch(database.rawUrl)).rejects.toThrow()
    await expect(fetch(database.url)).rejects.toThrow()
  })

  test('leaves no process behind when its parent is killed', async () => {
    const dbFile = join(folder, 'orphan.db')
    const { child, line: url } = await holder(dbFile)
    expect((await call(url, 'ListTables', {})).status).toBe(200)
    await killed(child)
    await expect.poll(() => processesWith(dbFile), { interval: 5, timeout: 5000 }).toEqual([])
    await expect(fetch(url)).rejects.toThrow()
  })

  test('keeps every write that it answered when all processes are killed during writes', async () => {
    const dbFile = join(folder, 'killed.db')
    const answered: string[] = []
    for (let round = 0; round < 3; round += 1) {
      const { child, line: url } = await holder(dbFile)
      if (round === 0) await call(url, 'CreateTable', TABLE)
      let dead = false
      const writer = async (name: string) => {
        for (let count = 0; !dead; count += 1) {
          const pk = `${round}-${name}-${count}`
          const done = await call(url, 'PutItem', put(pk)).then(
            ({ status }) => status === 200,
            () => false,
          )
          if (done) answered.push(pk)
        }
      }
      const goal = answered.length + 100
      const writing = Promise.all(['a', 'b', 'c', 'd'].map(writer))
      await expect.poll(() => answered.length, { interval: 1, timeout: 10_000 }).toBeGreaterThan(goal)
      await killed(child)
      await expect.poll(() => processesWith(dbFile), { interval: 5, timeout: 5000 }).toEqual([])
      dead = true
      await writing
    }
    const survivor = await startDynamo({ dbFile })
    for (const pk of answered) {
      expect((await call(survivor.rawUrl, 'GetItem', key(pk))).json.Item, pk).toBeDefined()
    }
    await survivor.close()
  })

  test('names the broken file and says what to do about it', async () => {
    const dbFile = join(folder, 'broken.db')
    writeFileSync(dbFile, 'this is no database, and long enough to be taken for one'.repeat(100))
    await expect(startDynamo({ dbFile })).rejects.toThrow(
      new RegExp(`^Dynoxide cannot use ${dbFile} \\(.+\\)\\. Delete that file to start afresh\\.$`, 's'),
    )
    expect(processesWith(dbFile)).toEqual([])
  })

  test('may be a running database, which keeps running after close', async () => {
    const proxied = await startDynamo({ endpoint: `${dynamo.rawUrl}/` })
    expect(proxied.rawUrl).toBe(dynamo.rawUrl)
    await call(proxied.url, 'PutItem', put('elsewhere'))
    expect(proxied.counts().writeUnits).toBe(1)
    expect(dynamo.counts().writeUnits).toBe(0)
    await proxied.close()
    expect((await call(dynamo.url, 'GetItem', key('elsewhere'))).json.Item).toBeDefined()
  })
})

function indexed(pk: string) {
  return { TableName: 'things', Item: { pk: { S: pk }, due: { S: 'now' } } }
}

function queryFor(pk: string) {
  return {
    TableName: 'things',
    KeyConditionExpression: 'pk = :pk',
    ExpressionAttributeValues: { ':pk': { S: pk } },
  }
}

function batchGet(...pks: string[]) {
  return { RequestItems: { things: { Keys: pks.map((pk) => ({ pk: { S: pk } })) } } }
}

function batchPut(...pks: string[]) {
  return { RequestItems: { things: pks.map((pk) => ({ PutRequest: { Item: { pk: { S: pk } } } })) } }
}
