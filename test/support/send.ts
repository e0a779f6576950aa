import { request as httpRequest } from 'node:http'
import { text } from 'node:stream/consumers'

export interface TestAnswer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape
  body: any
  text: string
}

type Header = [name: string, value: string]

/**
 * Sends a request exactly as given. `fetch` adds, refuses, normalizes or joins parts, such as TRACE, a Host,
 * a repeated header, dot segments, a missing content type, or the body of a GET.
 */
export function sendRaw(
  url: string,
  method: string,
  target: string,
  headers: readonly Header[] = [],
  body: string | Uint8Array = '',
): Promise<TestAnswer> {
  const { hostname, port, host } = new URL(url)
  const own: Header[] = headers.some(([name]) => name.toLowerCase() === 'host') ? [] : [['host', host]]
  const length = Buffer.byteLength(body)
  if (length > 0) own.push(['content-length', String(length)])
  return new Promise((resolve, reject) => {
    const path = target
    httpRequest({ hostname, port, method, path, headers: [...own, ...headers].flat() })
      .once('error', reject)
      .once('response', (response) => {
        const answered = new Headers()
        for (let at = 0; at < response.rawHeaders.length; at += 2) {
          answered.append(response.rawHeaders[at] ?? '', response.rawHeaders[at + 1] ?? '')
        }
        text(response).then((whole) => {
          const isJson = answered.get('content-type')?.includes('json')
          const parsed = isJson && whole !== '' ? JSON.parse(whole) : undefined
          resolve({ status: response.statusCode ?? 0, headers: answered, text: whole, body: parsed })
        }, reject)
      })
      .end(body)
  })
}
<<<<<<< HEAD:test/support/send.ts
=======

/** A body with the properties that only a Lambda event can have. */
export interface EventBody {
  body: string
  isBase64Encoded: boolean
  headers: Record<string, string>
}

/** Calls the handler of a public row with an event that has exactly this body and these headers. */
export async function invoke(row: Placed, content: EventBody): Promise<APIGatewayProxyStructuredResultV2> {
  const [key] = row.routes
  const [method = '', target = ''] = key.split(' ')
  const request = {
    method,
    target,
    httpVersion: '1.1',
    rawHeaders: [],
    body: Buffer.alloc(0),
    sourceIp: '127.0.0.1',
    receivedMs: Date.now(),
    requestId: 'request-1',
  }
  const event = integrationEvent(request, { key, pathParameters: {} })
  const file = join(import.meta.dirname, '..', '..', 'functions', row.dialect, `${row.file}.ts`)
  const { handler } = await import(/* @vite-ignore */ file)
  return handler({ ...event, ...content }, {})
}
>>>>>>> p6:test/conformance/raw.ts
