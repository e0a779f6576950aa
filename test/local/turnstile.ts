import { listen, readBody } from './http.ts'

/** The answer that a person gives at the double, with a number that makes each one another. */
export const PERSON = 'person-'

export interface TurnstileDouble {
  /** For TURNSTILE_API_BASE. */
  url: string
  /** Answers that were judged since the start. */
  judged(): number
  /** Takes the service away, or gives it back. */
  fail(isDown: boolean): void
  close(): Promise<void>
}

/** The secret key of the double. */
export const TURNSTILE_SECRET = 'turnstile-Local0001'

/**
 * A double of Cloudflare Turnstile: `siteverify`, which takes each answer of a person once, and the script with which a
 * page shows the challenge, a button.
 */
export async function startTurnstile(): Promise<TurnstileDouble> {
  const used = new Set<string>()
  let judged = 0
  let isDown = false
  const server = await listen(async (request, response) => {
    if (request.method === 'GET' && request.url?.startsWith('/turnstile/v0/api.js')) {
      response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(SCRIPT)
      return
    }
    const given = new URLSearchParams((await readBody(request)).toString())
    if (isDown || request.url !== '/turnstile/v0/siteverify') {
      response.writeHead(isDown ? 503 : 404).end()
      return
    }
    judged++
    const answer = given.get('response') ?? ''
    const isSecret = given.get('secret') === TURNSTILE_SECRET
    const isPerson = answer.startsWith(PERSON) && !used.has(answer)
    used.add(answer)
    const code = isSecret ? (used.has(answer) ? 'timeout-or-duplicate' : '') : 'invalid-input-secret'
    const success = isSecret && isPerson
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ success, 'error-codes': success ? [] : [code] }))
  })
  return {
    url: server.url,
    judged: () => judged,
    fail: (down) => {
      isDown = down
    },
    close: () => server.close(),
  }
}

/** What Cloudflare's script offers to pages, as far as ours use it. */
const SCRIPT = `window.turnstile = {
  render(box, { callback }) {
    const button = document.createElement('button')
    button.type = 'button'
    button.textContent = 'I am a person'
    button.addEventListener('click', () => callback('${PERSON}' + crypto.randomUUID()))
    box.replaceChildren(button)
    return 'widget'
  },
  remove() {},
}
`
