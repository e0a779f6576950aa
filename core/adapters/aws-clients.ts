import { clientLimits } from './client-limits.ts'
import { keptConnections, wasForgotten } from './kept-connections.ts'

interface Config {
  maxAttempts: number
  requestHandler: object
}

/** The part of a client that takes middleware. */
interface Client {
  middlewareStack: { addRelativeTo(middleware: Middleware, options: Place): void }
}

interface Place {
  name: string
  relation: 'after'
  toMiddleware: string
}

type Middleware = <A, R>(next: (args: A) => Promise<R>) => (args: A) => Promise<R>

/** The connections that the clients of a container keep. */
const kept = { httpAgent: keptConnections('http:'), httpsAgent: keptConnections('https:') }

/** Each connection has one request. */
const single = { httpAgent: { keepAlive: false }, httpsAgent: { keepAlive: false } }

/**
 * Opens a client of the AWS SDK with our limits and connections. Region, credentials and endpoint come from the
 * environment. A try over a connection that the peer had forgotten does not count, and an error after it says
 * `inDoubt`.
 * @param maxAttempts how often the client itself tries
 * @param keepsConnections whether a request may go over a connection that an earlier one has left.
 */
export function awsClient<C extends Client>(
  Class: new (config: Config) => C,
  maxAttempts: number = clientLimits.maxAttempts,
  keepsConnections = true,
): C {
  const agents = keepsConnections ? kept : single
  const client = new Class({ maxAttempts, requestHandler: { ...clientLimits.requestHandler, ...agents } })
  client.middlewareStack.addRelativeTo(tryAgain, {
    name: 'tryAgainAfterForgottenConnection',
    relation: 'after',
    toMiddleware: 'retryMiddleware',
  })
  return client
}

/** Its place within the SDK's own retries makes each of their tries one of two, if need be. */
const tryAgain: Middleware = (next) => async (args) => {
  try {
    return await next(args)
  } catch (error) {
    if (!wasForgotten(error)) throw error
    return next(args).catch((failure: object) => {
      throw Object.assign(failure, { inDoubt: true })
    })
  }
}
