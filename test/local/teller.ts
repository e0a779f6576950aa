import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'

// biome-ignore lint/suspicious/noExplicitAny: a story reads answers of every shape
type Body = any

/** Plays a story over HTTP and shows it; a step that is not as expected throws. */
export interface Teller {
  /** Sends `METHOD /path` and answers the body. */
  ask(
    title: string,
    request: string,
    expected: number,
    options?: { json?: unknown; token?: string },
  ): Promise<Body>
  /** Uses one of the stack's own controls, unseen. */
  control(method: string, path: string, json?: unknown): Promise<Body>
  /** Waits, unseen and for 10 s at most, until a GET answers what it should. */
  waitFor(path: string, token: string, ready: (body: Body) => boolean): Promise<void>
  must(condition: boolean, sentence: string): void
  /** The code in the newest mail to an address. */
  mailedCode(email: string): Promise<string>
  /** What was told since the last call. */
  counts(): { requests: number; checks: number }
}

/** A request on one line of the terminal: status, title, and as much of the request as fits. */
function shortLine(title: string, request: string, status: number): string {
  const columns = process.stdout.columns ?? 100
  const said = `  ${status}  ${title.padEnd(44)}  `
  return said + styleText('dim', request.slice(0, Math.max(0, columns - said.length)))
}

/** @param verbose shows each request and answer; otherwise a request is a line, and is shown if it fails. */
export function teller(url: string, { verbose }: { verbose: boolean }): Teller {
  let [requests, checks] = [0, 0]

  async function send(
    method: string,
    path: string,
    { json, token }: { json?: unknown; token?: string } = {},
  ) {
    const headers: Record<string, string> = {}
    if (json !== undefined) headers['content-type'] = 'application/json'
    if (token !== undefined) headers.authorization = `Bearer ${token}`
    const body = json === undefined ? {} : { body: JSON.stringify(json) }
    const response = await fetch(url + path, { method, headers, ...body })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  return {
    async ask(title, request, expected, options) {
      const [method = '', path = ''] = request.split(' ')
      const { status, body } = await send(method, path, options)
      const whole = `\n${title}\n  → ${request}${shown(options?.json)}\n  ← ${status}${shown(body)}`
      console.log(verbose || status !== expected ? whole : shortLine(title, request, status))
      requests += 1
      if (status !== expected) throw new Error(`${title}: expected ${expected}, got ${status}`)
      return body
    },
    async control(method, path, json) {
      const { status, body } = await send(method, `/_local${path}`, { json })
      if (status >= 400) throw new Error(`${method} /_local${path} answered ${status}`)
      return body
    },
    async waitFor(path, token, ready) {
      for (let tries = 0; tries < 100; tries++) {
        if (ready((await send('GET', path, { token })).body)) return
        await sleep(100)
      }
      throw new Error(`GET ${path} did not answer what it should in time`)
    },
    must(condition, sentence) {
      if (!condition) throw new Error(`not as expected: ${sentence}`)
      checks += 1
      console.log(styleText('green', `  ✓ ${sentence}`))
    },
    async mailedCode(email) {
      const { body } = await send('GET', `/_local/mail?to=${email}`)
      const codes = body.map(({ text }: { text: string }) => text.match(/\b[0-9a-f]{32}\b/)?.[0])
      const code = codes.findLast((each: string | undefined) => each !== undefined)
      if (!code) throw new Error(`no mail with a code arrived for ${email}`)
      return code
    },
    counts() {
      const counts = { requests, checks }
      ;[requests, checks] = [0, 0]
      return counts
    },
  }
}

const LONG = 60

/** JSON on one line, long strings such as tokens cut short. */
function shown(value: unknown): string {
  if (value === undefined) return ''
  const cut = (_: string, each: unknown) =>
    typeof each === 'string' && each.length > LONG ? `${each.slice(0, 40)}…` : each
  return `  ${JSON.stringify(value, cut)}`
}
