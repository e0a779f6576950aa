import http from 'node:http'
import https from 'node:https'
import { keptConnections, wasForgotten } from './kept-connections.ts'

/** The address of a service in a region. */
export const awsUrl = (service: string, region: string): string =>
  `https://${service}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`

/** An answer of a service. */
export interface Reply {
  status: number
  text: string
  /** Whether the request went out twice, since the peer had forgotten the connection of the first time. */
  isSecond?: boolean
}

/**
 * Sends a POST.
 * @param once not over a connection that was kept, which the peer may have forgotten: it goes out once.
 */
export type Post = (headers: Record<string, string>, body: string, once?: boolean) => Promise<Reply>

/** Time limits of a POST, ms: for the connection, and after that for the whole answer. */
export interface PostLimits {
  connectionTimeout: number
  requestTimeout: number
}

/**
 * Sends POSTs over connections that are kept for the next ones. A request over a connection that the peer had forgotten
 * is sent again. Rejects with the socket's error or a `TimeoutError`, which names the `service`.
 */
export function poster(url: URL, service: string, { connectionTimeout, requestTimeout }: PostLimits): Post {
  const { request, Agent } = url.protocol === 'http:' ? http : https
  const kept = keptConnections(url.protocol)
  const single = new Agent()
  const send = (agent: http.Agent, headers: Record<string, string>, body: string) =>
    new Promise<Reply>((resolve, reject) => {
      const call = request(url, { method: 'POST', headers, agent }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (piece: string) => {
          text += piece
        })
        // A connection that is cut within the body emits an `aborted` error here and never `end`.
        response.once('error', fail)
        response.once('end', () => {
          clearTimeout(limit)
          resolve({ status: response.statusCode ?? 0, text })
        })
      })
      const fail = (error: Error) => {
        clearTimeout(limit)
        reject(error)
      }
      const timeOut = (what: string) =>
        call.destroy(
          Object.assign(new Error(`${service}: no ${what} within the time limit`), { name: 'TimeoutError' }),
        )
      let limit = setTimeout(timeOut, connectionTimeout, 'connection')
      const connected = () => {
        clearTimeout(limit)
        limit = setTimeout(timeOut, requestTimeout, 'answer')
      }
      call.once('socket', (socket) => {
        if (!socket.connecting) connected()
        else socket.once(url.protocol === 'http:' ? 'connect' : 'secureConnect', connected)
      })
      call.once('error', fail)
      call.end(body)
    })
  return async (headers, body, once = false) => {
    try {
      return await send(once ? single : kept, headers, body)
    } catch (error) {
      if (!wasForgotten(error)) throw error
      return { ...(await send(kept, headers, body)), isSecond: true }
    }
  }
}
