import { type Account, type Answer, codeAfter, pause, type World } from './world.ts'

/** What an honest customer has seen. */
export interface Seen {
  action: string
  status: number
  ms: number
}

export interface Honest {
  seen: Seen[]
  /** Seconds until a mail that was asked for arrived. */
  mailSeconds: number[]
  errors: string[]
}

/** What customers do, and how often of a hundred times. */
const HABITS: [action: string, share: number][] = [
  ['spend a unit', 50],
  ['read the account', 20],
  ['read the use', 13],
  ['refresh the token', 8],
  ['sign in', 6],
  ['reset by mail', 3],
]

const THINKS_MS = 2_000

/** An address gets five such mails an hour. */
const MOST_RESETS = 4

/** Random numbers from a seed, so that two runs ask for the same. */
export function random(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Lets one customer live until then; what goes wrong is noted, not thrown. */
export async function live(
  world: World,
  customer: Account,
  into: Honest,
  seed: number,
  untilMs: number,
): Promise<void> {
  const next = random(seed)
  await pause(next() * THINKS_MS)
  while (performance.now() < untilMs) {
    const wanted = chosen(next() * 100)
    const action = wanted === 'reset by mail' && customer.resets >= MOST_RESETS ? 'read the account' : wanted
    if (action === 'reset by mail') customer.resets++
    await act(world, customer, action, into, untilMs).catch((error: Error) =>
      into.errors.push(`${action}: ${error.message}`),
    )
    await pause(THINKS_MS * (0.5 + next()))
  }
}

function chosen(at: number): string {
  let sum = 0
  for (const [action, share] of HABITS) {
    sum += share
    if (at < sum) return action
  }
  return HABITS[0]?.[0] ?? ''
}

async function act(
  world: World,
  customer: Account,
  action: string,
  into: Honest,
  untilMs: number,
): Promise<void> {
  const { from, email, password, username } = customer
  const note = (answer: Answer) => {
    into.seen.push({ action, status: answer.status, ms: answer.ms })
    return answer
  }
  const ask = async (...asked: Parameters<World['ask']> extends [string, ...infer Rest] ? Rest : never) =>
    note(await world.ask(from, ...asked))
  if (action === 'spend a unit') await ask('POST', '/v1/usage', { json: { units: 1 }, token: customer.key })
  if (action === 'read the account') await ask('GET', '/v1/user', { token: customer.token })
  if (action === 'read the use') await ask('GET', '/v1/usage', { token: customer.token })
  if (action === 'refresh the token') {
    const { body } = await ask('POST', '/v1/auth/refresh', { json: { refreshToken: customer.refreshToken } })
    customer.token = body.accessToken ?? customer.token
  }
  if (action === 'sign in') {
    const { body } = await ask('POST', '/v1/auth/login', { json: { username, password } })
    customer.token = body.accessToken ?? customer.token
    customer.refreshToken = body.refreshToken ?? customer.refreshToken
  }
  if (action === 'reset by mail') {
    const before = (await world.mails(email)).filter((text) => /\b[0-9a-f]{32}\b/.test(text)).length
    await ask('POST', '/v1/user/resetPassword', { json: { email } })
    const sinceMs = performance.now()
    await codeAfter(world, email, before, Math.max(untilMs, sinceMs + 60_000))
    into.mailSeconds.push((performance.now() - sinceMs) / 1000)
  }
}
