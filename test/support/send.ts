import { request as httpRequest } from 'node:http'
import { readBody } from '../local/http.ts'
import { signatureFor } from './operators.ts'

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
 * a repeated header, dot segments, a missing content type, or the body of a GET. Only the name of an operator in place
 * of a token becomes their signature, and an admin key gets its own header.
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
  const isAuthorization = ([name]: Header) => name.toLowerCase() === 'authorization'
  const signature = signatureFor(headers.find(isAuthorization)?.[1], { url, method, target, body })
  const sent = signature
    ? [...headers.filter((header) => !isAuthorization(header)), ...Object.entries(signature)]
    : headers
  const length = Buffer.byteLength(body)
  if (length > 0) own.push(['content-length', String(length)])
  return new Promise((resolve, reject) => {
    const path = target
    httpRequest({ hostname, port, method, path, headers: [...own, ...sent].flat() })
      .once('error', reject)
      .once('response', (response) => {
        const answered = new Headers()
        for (let at = 0; at < response.rawHeaders.length; at += 2) {
          answered.append(response.rawHeaders[at] ?? '', response.rawHeaders[at + 1] ?? '')
        }
        readBody(response).then((bytes) => {
          const whole = bytes.toString()
          const isJson = answered.get('content-type')?.includes('json')
          const parsed = isJson && whole !== '' ? JSON.parse(whole) : undefined
          resolve({ status: response.statusCode ?? 0, headers: answered, text: whole, body: parsed })
        }, reject)
      })
      .end(body)
  })
}
