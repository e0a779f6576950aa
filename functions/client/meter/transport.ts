import type { Call, Clock, Measure, WireAnswer, WireRequest } from './spender.ts'

/** The part of `fetch` that the meter uses, so that a test or a proxy can stand in. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface TransportOptions {
  url: string
  /** `bss_…`; without one, each request is sent with the customer's own key. */
  credential: string | undefined
  /** When a second try is sent beside a first one that has not answered, ms. */
  hedgeAfterMs: number
  fetch: Fetch
  clock: Clock
  measure: Measure
  /** Told why a call ended without an answer, in words without secrets. */
  onNoAnswer: (reason: string) => void
}

/** Pause before the second try when the first one has failed at once, ms. */
const RETRY_PAUSE_MS = 50
const MOST_TRIES = 2

/**
 * Sends each request at most twice, and answers what comes first. The second try goes when the first one is slow or has
 * failed, with the same body and so under the same ids: what both have done counts once. At the deadline the answer is
 * undefined, and tries under way are given up, which does not mean that they had no effect.
 */
export function openTransport(options: TransportOptions): Call {
  const { clock, hedgeAfterMs, measure, onNoAnswer } = options
  return (request) =>
    new Promise((resolve) => {
      const aborting = new AbortController()
      const timers: (() => void)[] = []
      let [tries, underWay, hasEnded, reason] = [0, 0, false, 'no answer in time']

      function end(answer: WireAnswer | undefined): void {
        if (hasEnded) return
        hasEnded = true
        for (const cancel of timers) cancel()
        aborting.abort()
        resolve(answer)
        if (answer !== undefined) return
        measure('no_answer', 1)
        onNoAnswer(reason)
      }

      async function attempt(): Promise<void> {
        if (hasEnded || tries === MOST_TRIES) return
        tries += 1
        underWay += 1
        if (tries > 1) measure('hedge', 1)
        const answer = await send(options, request, aborting.signal)
        underWay -= 1
        if (typeof answer === 'string') reason = answer
        if (typeof answer === 'object') end(answer)
        else if (tries < MOST_TRIES) timers.push(clock.after(RETRY_PAUSE_MS, attempt))
        else if (underWay === 0) end(undefined)
      }

      timers.push(
        clock.after(request.deadlineMs - clock.nowMs(), () => end(undefined), true),
        clock.after(hedgeAfterMs, () => {
          request.onSlow?.()
          void attempt()
        }),
      )
      void attempt()
    })
}

/** One try. @returns why, if nobody can tell from the answer what has happened. */
async function send(
  { url, credential, fetch }: TransportOptions,
  { path, key, ip, body }: WireRequest,
  signal: AbortSignal,
): Promise<WireAnswer | string> {
  try {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${credential ?? key}`,
        'content-type': 'application/json',
        ...(credential !== undefined && key !== undefined && { 'x-bursar-key': key }),
        ...(credential !== undefined && ip !== undefined && { 'x-bursar-ip': ip }),
      },
      body: JSON.stringify(body),
      // A redirect would lose the body, or send the key elsewhere.
      redirect: 'manual',
      signal,
    })
    return answerOf(response, parsed(await response.text()))
  } catch (error) {
    return failureOf(error)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `ECONNREFUSED`, or what else the network tells. The error's own message may quote what was sent. */
function failureOf(error: unknown): string {
  const { cause, name } = (error ?? {}) as {
    cause?: { code?: unknown; message?: unknown } | null
    name?: unknown
  }
  return `the connection failed (${cause?.code || cause?.message || name})`
}

const PROBLEM = 'urn:bursar:problem:'

/**
 * Every success of Bursar tells what is left, alone or in the answers of a batch, and every refusal has a code. So a page
 * that answers 200 to everything lets nothing pass.
 * @returns why there is no answer, for failures of Bursar and refusals of others on the way, such as a gateway's 429
 */
function answerOf({ status, ok, headers }: Response, body: unknown): WireAnswer | string {
  if (typeof body !== 'object' || body === null) return `status ${status} without JSON`
  const { type, left, answers } = body as { type?: unknown; left?: unknown; answers?: unknown }
  const code = codeOf(type)
  if (status >= 500) return `status ${status}`
  const isKnown = ok ? typeof left === 'number' || Array.isArray(answers) : code !== undefined
  if (!isKnown) return `status ${status}, not of Bursar`
  const retryAfter = Number(headers.get('retry-after') ?? Number.NaN)
  const [rateLimit, rateLimitPolicy] = [headers.get('ratelimit'), headers.get('ratelimit-policy')]
  return {
    status,
    body: body as Record<string, unknown>,
    ...(code !== undefined && { code }),
    ...(retryAfter >= 0 && { retryAfterSeconds: retryAfter }),
    ...(rateLimit !== null && { rateLimit }),
    ...(rateLimitPolicy !== null && { rateLimitPolicy }),
  }
}

/** `quota_exhausted` of `urn:bursar:problem:quota_exhausted`; undefined for anything else. */
export const codeOf = (type: unknown): string | undefined =>
  typeof type === 'string' && type.startsWith(PROBLEM) ? type.slice(PROBLEM.length) : undefined
