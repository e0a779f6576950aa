import http from 'node:http'
import https from 'node:https'

/** The address of a service in a region. */
export const awsUrl = (service: string, region: string): string =>
  `https://${service}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`

/** An answer of a service. */
export interface Reply {
  status: number
  text: string
}

/** Time limits of a POST, ms: for the connection, and after that for the whole answer. */
export interface PostLimits {
  connectionTimeout: number
  requestTimeout: number
}

/**
 * Sends one POST over a connection that is kept for the next one. Rejects with the socket's error or a
 * `TimeoutError`, which names the `service`.
 */
export function poster(
  url: URL,
  service: string,
  { connectionTimeout, requestTimeout }: PostLimits,
): (headers: Record<string, string>, body: string) => Promise<Reply> {
  const { request, Agent } = url.protocol === 'http:' ? http : https
  const agent = new Agent({ keepAlive: true })
  return (headers, body) =>
    new Promise((resolve, reject) => {
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
}
