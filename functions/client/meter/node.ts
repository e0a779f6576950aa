import type { Metering } from './metering.ts'
import { type MeteredRequest, type Rule, type Taking, takeUnits } from './protect.ts'

type NodeHeaders = Record<string, string | string[] | undefined>

/** The part of an Express request that the middleware uses. */
export interface ExpressRequest {
  method: string
  originalUrl: string
  headers: NodeHeaders
  ip?: string | undefined
}
/** The part of a Node response that the adapters use. */
export interface NodeResponse {
  statusCode: number
  /** With what the handler has broken the response off; absent in old versions of Node. */
  errored?: Error | null | undefined
  setHeader(name: string, value: string): unknown
  end(body: string): unknown
  once(event: 'finish' | 'close', listener: () => void): unknown
}
/** The part of a Fastify request that the plugin uses. */
export interface FastifyRequest {
  method: string
  url: string
  headers: NodeHeaders
  ip: string
  raw: object
}
/** The part of a Fastify reply that the plugin uses. */
export interface FastifyReply {
  code(status: number): unknown
  header(name: string, value: string): unknown
  send(body: string): unknown
  raw: NodeResponse
}
export interface FastifyInstance {
  addHook(
    name: 'preHandler',
    hook: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>,
  ): unknown
}

/** Middleware of Express 4 and 5. Put it after the parser of bodies if `units` reads the body. */
export const expressMiddleware =
  (metering: Metering, rule: Rule<ExpressRequest>) =>
  async (req: ExpressRequest, res: NodeResponse, next: (error?: unknown) => void): Promise<void> => {
    try {
      const request = nodeRequest(req, req.originalUrl, req)
      const taking = await takeUnits(metering, request, metering.ruleOf(rule))
      if ('refused' in taking) {
        res.statusCode = taking.refused.status
        for (const [name, value] of Object.entries(taking.refused.headers)) res.setHeader(name, value)
        res.end(taking.refused.body)
        return
      }
      metering.show(req, taking)
      for (const [name, value] of Object.entries(taking.headers)) res.setHeader(name, value)
      endWithResponse(taking, res)
    } catch (error) {
      next(error)
      return
    }
    next()
  }

/**
 * A plugin of Fastify 4 and 5, for the routes of the scope in which it is registered. It acts after validation, so a
 * request that the schema refuses costs nothing, and `units` may read the body.
 */
export function fastifyPlugin(metering: Metering, rule: Rule<FastifyRequest>) {
  const plugin = (fastify: FastifyInstance, _options: unknown, done: () => void): void => {
    fastify.addHook('preHandler', async (request, reply) => {
      const metered = nodeRequest(request, request.url, request)
      const taking = await takeUnits(metering, metered, metering.ruleOf(rule))
      const { headers } = 'refused' in taking ? taking.refused : taking
      for (const [name, value] of Object.entries(headers)) reply.header(name, value)
      if ('refused' in taking) {
        reply.code(taking.refused.status)
        reply.send(taking.refused.body)
        return reply
      }
      metering.show(request, taking)
      metering.show(request.raw, taking)
      endWithResponse(taking, reply.raw)
      return undefined
    })
    done()
  }
  // Else Fastify would give the plugin a scope of its own, without the routes.
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true })
}

/**
 * `finish` comes when the answer is out, and only `close` when the customer has left before or the handler has destroyed
 * the response with an error.
 */
function endWithResponse(taking: Taking, response: NodeResponse): void {
  const end = () => void taking.end(response.statusCode >= 500 || Boolean(response.errored))
  response.once('finish', end)
  response.once('close', end)
}

const nodeRequest = <Raw>(
  { method, headers, ip }: { method: string; headers: NodeHeaders; ip?: string | undefined },
  url: string,
  raw: Raw,
): MeteredRequest<Raw> => ({
  method,
  path: url.split('?')[0] ?? url,
  header(name) {
    const value = headers[name]
    return Array.isArray(value) ? value[0] : value
  },
  ip,
  raw,
})
