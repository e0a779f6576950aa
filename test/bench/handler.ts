/**
 * Runs a deployed function as a warm container does, one event after the other, and prints the CPU that an event takes
 * in microseconds, and that which a bare request to the table takes. `handler.ts MODULE KEY`; the environment is the function's.
 */
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { newRequestId } from '../../functions/client/request-id.ts'

const [, , module = '', key = ''] = process.argv
const WARM = 3_000
const MEASURED = 5_000

const { handler } = await import(module)
const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
const http = {
  method: 'POST',
  path: '/v1/usage',
  protocol: 'HTTP/1.1',
  sourceIp: '127.0.0.1',
  userAgent: 'bench',
}
console.log = () => {}

async function spend(): Promise<void> {
  const body = JSON.stringify({ units: 1, requestId: newRequestId() })
  const requestContext = { requestId: 'bench', http, time: '', timeEpoch: Date.now() }
  const event = {
    version: '2.0',
    rawPath: '/v1/usage',
    rawQueryString: '',
    headers,
    requestContext,
    body,
    isBase64Encoded: false,
  }
  const { statusCode } = await handler(event, {})
  if (statusCode !== 200) throw new Error(`the handler answered ${statusCode}`)
}

const agent = new Agent({ keepAlive: true })
const target = new URL(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '')
const item = JSON.stringify({ TableName: process.env.TABLE_NAME, Key: { pk: { S: '#' }, sk: { S: '#' } } })
const ofTable = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'DynamoDB_20120810.GetItem' }

/** One request to the table by Node alone. */
async function ask(): Promise<void> {
  const call = request(target, {
    method: 'POST',
    agent,
    headers: { ...ofTable, 'content-length': item.length },
  })
  call.end(item)
  const [response] = await once(call, 'response')
  response.resume()
  await once(response, 'end')
}

/** CPU of one call, in microseconds, once the code is warm. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  for (let n = 0; n < WARM; n++) await work()
  const before = process.cpuUsage()
  for (let n = 0; n < MEASURED; n++) await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / MEASURED
}

process.stdout.write(JSON.stringify({ handler: await cpuOf(spend), ask: await cpuOf(ask) }))
process.exit(0)
