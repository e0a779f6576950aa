import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBody } from './http.ts'

/** A control returns a JSON value; undefined becomes a 204. */
type Control = (request: { body: Record<string, unknown>; query: URLSearchParams; name: string }) => unknown

/** `METHOD /path` of each control; `*` stands for one segment, which the control gets as `name`. */
export type Controls = Record<string, Control>

/**
 * A control throws this error for a request that it cannot carry out. The answer is a 400 with the message.
 */
export class ControlError extends Error {}

/** Serves the stack's own controls under `/_local`. No deployed function has them. */
export function serveControls(controls: Controls) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://local')
    const segments = pathname.split('/')
    const exact = controls[`${request.method} ${pathname}`]
    const control = exact ?? controls[`${request.method} ${[...segments.slice(0, -1), '*'].join('/')}`]
    if (!control) {
      const known = Object.keys(controls).join(', ')
      return send(response, 404, { message: `There is no such control. There are: ${known}` })
    }
    try {
      const text = (await readBody(request)).toString()
      const body: unknown = text === '' ? {} : JSON.parse(text)
      if (!isObject(body)) throw new ControlError('The body must be a JSON object')
      const answer = await control({ body, query: searchParams, name: segments.at(-1) ?? '' })
      return answer === undefined ? send(response, 204) : send(response, 200, answer)
    } catch (error) {
      const expected = error instanceof ControlError || error instanceof SyntaxError
      send(response, expected ? 400 : 500, { message: (error as Error).message })
    }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function send(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, body === undefined ? {} : { 'content-type': 'application/json' })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}
