import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server on loopback that one part of the local stack listens on. */
export interface Listener {
  /** `http://127.0.0.1:PORT`, without a trailing slash. */
  url: string
  server: Server
  /** Closes the port and every connection on it. */
  close(): Promise<void>
}

/** Answers a request instead of the part that listens, or returns false and leaves it to that part. */
export type Interceptor = (request: IncomingMessage, response: ServerResponse) => boolean

const interceptors = new Map<string, Interceptor>()

/** From now on a part's requests pass here first; undefined ends that. `url` is the part's, in this process. */
export function intercept(url: string, interceptor: Interceptor | undefined): void {
  if (interceptor) interceptors.set(url, interceptor)
  else interceptors.delete(url)
}

/** Whether a part's requests pass an interceptor first. */
export const isIntercepted = (url: string): boolean => interceptors.has(url)

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

/**
 * Listens on loopback; port 0 picks a free port. An error from the handler becomes a 500 with its message.
 * @throws NodeJS.ErrnoException from `listen`: `EADDRINUSE` for a port in use.
 */
export async function listen(handler: RequestHandler, port = 0): Promise<Listener> {
  let url = ''
  const server = createServer((request, response) => {
    // Without a date: if the date differs from the SDK's clock, the SDK corrects its clock and retries.
    response.sendDate = false
    if (interceptors.get(url)?.(request, response)) return
    Promise.resolve(handler(request, response)).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ message: error instanceof Error ? error.message : String(error) }))
    })
  })
  // Longer than a client keeps an idle connection: if the server closed first, the client could need a retry,
  // which the call counts would show.
  server.keepAliveTimeout = 120_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    server,
    close: () =>
      new Promise<void>((resolve) => {
        interceptors.delete(url)
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/**
 * The body of a request or an answer. Events take a third of the time of an iteration.
 * @param keptBytes once the body is longer, the rest is read and dropped.
 */
export function readBody(message: IncomingMessage, keptBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    message
      .on('data', (chunk: Buffer) => {
        if (bytes <= keptBytes) chunks.push(chunk)
        bytes += chunk.length
      })
      .once('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
      .once('error', reject)
  })
}
