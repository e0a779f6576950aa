import type { ServerResponse } from 'node:http'
import { afterAll } from 'vitest'
import { intercept } from '../local/http.ts'

/** What a service answers instead of its own answer; `cut` ends the connection without one. */
export type Reply = { status: number; body: string } | 'cut'

/** The variables of the services that a function talks to. */
export const services = [
  'AWS_ENDPOINT_URL_DYNAMODB',
  'AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER',
  'AWS_ENDPOINT_URL_SESV2',
  'AWS_ENDPOINT_URL_KMS',
  'STRIPE_API_BASE',
] as const

/** Puts a station in front of a double that can answer in its place; such a call is not counted as one of the double's. */
export function stationBefore(service: (typeof services)[number]) {
  const url = String(process.env[service])
  let reply: Reply | undefined
  intercept(url, (request, response) => {
    if (reply === undefined) return false
    const instead = reply
    // As a service does, the station takes the whole request before it answers.
    request.resume().once('end', () => send(instead, response))
    return true
  })
  afterAll(() => intercept(url, undefined))
  return {
    /** From now on every call gets this; nothing: the double's own answers again. */
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
