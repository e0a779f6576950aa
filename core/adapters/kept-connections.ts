import http from 'node:http'
import https from 'node:https'

/*
 * A container is frozen between requests. Meanwhile the peer, or a machine between, may forget its connections, and
 * nothing of that arrives: the next request gets a reset. Timers stand still while the container is frozen, so Node's own
 * limits for idle connections do not help, but `Date.now` goes on.
 */

/** A connection that has been idle for longer is closed instead of used, ms. */
const IDLE_MS = 10_000

/** A connection that has been idle for a shorter time was not forgotten: its reset is an outage, ms. */
const FORGETTING_MS = 1_000

/** With the method that Node's types leave out. */
type OpenAgent = https.Agent & { addRequest(...request: unknown[]): void }

/** Errors of requests that went over connections that the peer had forgotten. */
const forgotten = new WeakSet<object>()

/**
 * Whether a request failed because the peer had forgotten the kept connection. Then it goes out once more, and this try does
 * not count as one. In theory the peer can have done the work, as after any reset.
 */
export const wasForgotten = (error: unknown): boolean => forgotten.has(error as object)

/**
 * An agent that keeps connections for later requests, but none that the peer may have forgotten. After the first
 * failure of a kept connection it closes all that wait.
 * @param protocol `http:` or `https:`
 */
export function keptConnections(protocol: string): https.Agent {
  const { Agent } = protocol === 'http:' ? http : https
  const agent = new Agent({ keepAlive: true }) as OpenAgent
  const usedMs = new WeakMap<object, number>()
  const idleMs = (socket: object) => Date.now() - (usedMs.get(socket) ?? 0)
  const close = (sockets: Iterable<{ destroy(): void } | undefined>) => {
    for (const socket of sockets) socket?.destroy()
  }
  const { addRequest, keepSocketAlive, reuseSocket } = agent
  agent.keepSocketAlive = (socket) => {
    usedMs.set(socket, Date.now())
    return keepSocketAlive.call(agent, socket)
  }
  agent.addRequest = (...request) => {
    // Node takes the last one. Those before have been idle for longer.
    for (const sockets of Object.values(agent.freeSockets))
      if (sockets?.length && idleMs(sockets.at(-1) as object) > IDLE_MS) close(sockets)
    addRequest.apply(agent, request)
  }
  agent.reuseSocket = (socket, request) => {
    const wasIdleMs = idleMs(socket)
    reuseSocket.call(agent, socket, request)
    // The first listener, so that whoever sends the request again does so over another connection.
    request.once('error', (error: NodeJS.ErrnoException) => {
      close(Object.values(agent.freeSockets).flat())
      if (wasIdleMs >= FORGETTING_MS && /^(ECONNRESET|EPIPE)$/.test(error.code ?? '')) forgotten.add(error)
    })
  }
  return agent
}
