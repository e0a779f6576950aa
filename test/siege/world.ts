import { EDGE_HEADER } from '../../functions/http/source-address.ts'

/** The secret with which the stack believes what the siege says about where a request comes from. */
export const EDGE_SECRET = 'the-secret-of-the-siege'

// biome-ignore lint/suspicious/noExplicitAny: a siege reads answers of every shape
type Body = any

export interface Answer {
  status: number
  body: Body
  ms: number
}

export interface Sent {
  json?: unknown
  token?: string | undefined
  headers?: Record<string, string>
}

/** Sends requests as from a network address, to one stack. */
export interface World {
  ask(from: string, method: string, path: string, sent?: Sent): Promise<Answer>
  /** The texts of the mails to an address, oldest first. */
  mails(to: string): Promise<string[]>
  control(method: string, path: string, json?: object): Promise<Body>
}

export function openWorld(url: string): World {
  async function send(method: string, path: string, { json, token, headers = {} }: Sent): Promise<Answer> {
    const sinceMs = performance.now()
    const response = await fetch(url + path, {
      method,
      headers: {
        ...headers,
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(json !== undefined && { body: JSON.stringify(json) }),
    })
    const text = await response.text()
    const ms = performance.now() - sinceMs
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text), ms }
  }
  return {
    ask: (from, method, path, sent = {}) => {
      const address = { [EDGE_HEADER]: EDGE_SECRET, 'cloudfront-viewer-address': `${from}:40000` }
      return send(method, path, { ...sent, headers: { ...sent.headers, ...address } })
    },
    async mails(to) {
      const { body } = await send('GET', `/_local/mail?to=${encodeURIComponent(to)}`, {})
      return body.map(({ text }: { text: string }) => text)
    },
    async control(method, path, json) {
      const { status, body } = await send(method, `/_local${path}`, { json })
      if (status >= 400) throw new Error(`${method} /_local${path} answered ${status}`)
      return body
    },
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const CODE = /\b[0-9a-f]{32}\b/

/** The code in the newest mail with one, once more such mails have arrived than before. */
export async function codeAfter(world: World, to: string, before: number, untilMs: number): Promise<string> {
  for (;;) {
    const codes = (await world.mails(to)).flatMap((text) => CODE.exec(text)?.[0] ?? [])
    if (codes.length > before) return codes.at(-1) ?? ''
    if (performance.now() > untilMs) throw new Error(`no mail with a code arrived at ${to} in time`)
    await pause(500)
  }
}

export interface Account {
  username: string
  email: string
  password: string
  from: string
  token: string
  refreshToken: string
  key: string
  /** Mails with a code to reset the password that were asked for. */
  resets: number
}

const PASSWORD = 'Hello123!'

/** Registers, confirms and signs in, all from one address. @throws Error if a step is refused */
export async function newAccount(
  world: World,
  username: string,
  from: string,
  email = `${username}@mail.example`,
) {
  const must = async (expected: number, asked: Promise<Answer>) => {
    const answer = await asked
    if (answer.status !== expected)
      throw new Error(
        `${username}: expected ${expected}, got ${answer.status} ${JSON.stringify(answer.body)}`,
      )
    return answer.body
  }
  const person = { username, email, password: PASSWORD }
  await must(201, world.ask(from, 'POST', '/rest/users', { json: person }))
  const code = await codeAfter(world, email, 0, performance.now() + 60_000)
  await must(200, world.ask(from, 'POST', '/v1/auth/activate', { json: { code } }))
  const login = { username, password: PASSWORD }
  const { accessToken: token, refreshToken } = await must(
    200,
    world.ask(from, 'POST', '/v1/auth/login', { json: login }),
  )
  const { apiKey: key } = await must(200, world.ask(from, 'GET', '/v1/user', { token }))
  return { ...person, from, token, refreshToken, key, resets: 0 } satisfies Account
}
