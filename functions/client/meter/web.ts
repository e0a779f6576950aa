import type { Metering } from './metering.ts'
import { type MeteredRequest, type Rule, type Taking, takeUnits } from './protect.ts'

/** The part of a Hono context that the middleware uses. */
export interface HonoContext {
  req: { raw: Request; method: string; path: string; header(name: string): string | undefined }
  res: Response
  error: Error | undefined
}

/** A handler of `fetch` requests: of Workers, Bun and Deno, and a Next route handler. */
export type FetchHandler<Rest extends unknown[], R extends Request = Request> = (
  request: R,
  ...rest: Rest
) => Response | Promise<Response>

const webRequest = <Raw>(
  raw: Raw,
  { method, url, headers }: Pick<Request, 'method' | 'url' | 'headers'>,
): MeteredRequest<Raw> => ({
  method,
  path: new URL(url).pathname,
  header: (name) => headers.get(name) ?? undefined,
  raw,
})

/** Middleware of Hono. `metered(c)` is there for the handlers after it. */
export const honoMiddleware =
  (metering: Metering, rule: Rule<HonoContext>) =>
  async (c: HonoContext, next: () => Promise<void>): Promise<Response | undefined> => {
    const { req } = c
    const request = { method: req.method, path: req.path, header: (name: string) => req.header(name), raw: c }
    const taking = await takeUnits(metering, request, metering.ruleOf(rule))
    if ('refused' in taking) return responseOf(taking.refused)
    metering.show(c, taking)
    metering.show(req.raw, taking)
    try {
      await next()
    } catch (error) {
      await taking.end(true)
      throw error
    }
    // Hono has made a response of what a handler has thrown.
    c.res = await endWith(taking, req.method, c.res)
    return undefined
  }

/** Wraps a handler of `fetch` requests. What it throws is thrown on. */
export const fetchHandler =
  <Rest extends unknown[], R extends Request>(
    metering: Metering,
    handler: FetchHandler<Rest, R>,
    rule: Rule<R>,
  ) =>
  async (request: R, ...rest: Rest): Promise<Response> => {
    const taking = await takeUnits(metering, webRequest(request, request), metering.ruleOf(rule))
    if ('refused' in taking) return responseOf(taking.refused)
    metering.show(request, taking)
    try {
      return await endWith(taking, request.method, await handler(request, ...rest))
    } catch (error) {
      await taking.end(!isControlFlow(error))
      throw error
    }
  }

/** Next redirects, and answers 404, by throwing: the handler has not failed. */
const isControlFlow = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'digest' in error && /^NEXT_/.test(String(error.digest))

const responseOf = ({
  status,
  headers,
  body,
}: {
  status: number
  headers: Record<string, string>
  body: string
}) => new Response(body, { status, headers })

/** Adds the headers. A spend ends here; a reservation ends with the body, of which a handler may still charge parts. */
async function endWith(taking: Taking, method: string, response: Response): Promise<Response> {
  const hasFailed = response.status >= 500
  const { body, status, statusText } = response
  // Nobody reads the body of an answer to HEAD, and the work is done.
  if (!taking.isReserved || hasFailed || body === null || method === 'HEAD') {
    await taking.end(hasFailed)
    return withHeaders(response, taking.headers)
  }
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(taking.headers)) headers.set(name, value)
  return new Response(settledAtEnd(body, taking), { status, statusText, headers })
}

/** The headers of a response that came from another one, such as a redirect or a proxied one, cannot be changed. */
function withHeaders(response: Response, added: Record<string, string>): Response {
  try {
    for (const [name, value] of Object.entries(added)) response.headers.set(name, value)
    return response
  } catch {
    const { body, status, statusText } = response
    const headers = new Headers(response.headers)
    for (const [name, value] of Object.entries(added)) headers.set(name, value)
    return new Response(body, { status, statusText, headers })
  }
}

/**
 * The same body, after whose last byte the reservation is settled. A customer who leaves early pays for what the handler
 * has charged, or else for everything reserved; a body that breaks is work that failed.
 */
function settledAtEnd(body: ReadableStream<Uint8Array>, taking: Taking): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
          await taking.end(false)
          controller.close()
        } catch (error) {
          await taking.end(true)
          controller.error(error)
        }
      },
      async cancel(reason) {
        await reader.cancel(reason).catch(() => {})
        await taking.end(false)
      },
    },
    // Nothing is read ahead, because the handler charges for what the customer has read.
    { highWaterMark: 0 },
  )
}
