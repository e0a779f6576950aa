import type { ServerResponse } from 'node:http'
import { afterAll } from 'vitest'
import { intercept } from '../local/http.ts'

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

/** Puts a proxy in front of a double that can answer instead of it. The double does not count such calls. */
export function stationBefore(service: (typeof services)[number]) {
  const url = String(process.env[service])
  let reply: Reply | undefined
  intercept(url, (request, response) => {
    if (reply === undefined) return false
    const instead = reply
    // Like a service, the proxy reads the whole request before it answers.
    request.resume().once('end', () => send(instead, response))
    return true
  })
  afterAll(() => intercept(url, undefined))
  return {
    /** Answers every further call with `instead`, or with the double's own answers if it is undefined. */
    answer(instead?: Reply) {
      reply = instead
    },
  }
}

function send(reply: Reply, response: ServerResponse): void {
  if (reply === 'cut') return void response.socket?.destroy()
  const errorType = /"__type":"(\w+)"/.exec(reply.body)?.[1]
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    ...(errorType && { 'x-amzn-errortype': errorType }),
  }
  response.writeHead(reply.status, headers).end(reply.body)
}
