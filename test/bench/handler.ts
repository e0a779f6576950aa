/**
 * Runs a deployed function as a warm container does, one event after the other, and prints the CPU that an event takes
 * in microseconds. `handler.ts MODULE KEY`; the environment is the function's.
 */
import { randomUUIDv7 } from './ids.ts'

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
  const body = JSON.stringify({ units: 1, requestId: randomUUIDv7() })
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

for (let n = 0; n < WARM; n++) await spend()
const before = process.cpuUsage()
for (let n = 0; n < MEASURED; n++) await spend()
const { user, system } = process.cpuUsage(before)
process.stdout.write(String((user + system) / MEASURED))
process.exit(0)
