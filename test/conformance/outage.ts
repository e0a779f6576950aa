import { afterAll } from 'vitest'
import { listen, readBody } from '../local/http.ts'

/** An answer in place of a service's own; `cut` ends the connection without an answer. */
export type Reply = { status: number; body: string } | 'cut'

/** The environment variables with the endpoints of the services that a function calls. */
export const services = [
  'AWS_ENDPOINT_URL_DYNAMODB',
  'AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER',
  'AWS_ENDPOINT_URL_SESV2',
  'AWS_ENDPOINT_URL_KMS',
  'STRIPE_API_BASE',
] as const

/**
 * Puts a proxy in front of a double; the proxy can answer instead of the double. Call this before the first
 * request, because adapters read their endpoint once.
 */
export async function stationBefore(service: (typeof services)[number]) {
  const target = process.env[service]
  let reply: Reply | undefined
  const station = await listen(async (request, response) => {
    const body = await readBody(request)
    if (reply === 'cut') return void request.socket.destroy()
    if (reply !== undefined) {
      const errorType = /"__type":"(\w+)"/.exec(reply.body)?.[1]
      const headers = {
        'content-type': 'application/x-amz-json-1.1',
        ...(errorType && { 'x-amzn-errortype': errorType }),
      }
      return void response.writeHead(reply.status, headers).end(reply.body)
    }
    const { host, connection, 'content-length': _, ...headers } = request.headers
    const answer = await fetch(`${target}${request.url}`, {
      method: request.method ?? 'POST',
      headers: headers as Record<string, string>,
      ...(body.length > 0 && { body: new Uint8Array(body) }),
    })
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' })
    response.end(new Uint8Array(await answer.arrayBuffer()))
  })
  process.env[service] = station.url
  afterAll(station.close)
  return {
    /** Answers every further call with `instead`, or with the double's own answers if it is undefined. */
    answer(instead?: Reply) {
      reply = instead
    },
  }
}
