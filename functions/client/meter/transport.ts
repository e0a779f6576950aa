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
  const { clock, hedgeAfterMs, measure } = options
  return (request) =>
    new Promise((resolve) => {
      const aborting = new AbortController()
      const timers: (() => void)[] = []
      let [tries, underWay, hasEnded] = [0, 0, false]

      function end(answer: WireAnswer | undefined): void {
        if (hasEnded) return
        hasEnded = true
        for (const cancel of timers) cancel()
        aborting.abort()
        if (answer === undefined) measure('no_answer', 1)
        resolve(answer)
      }

      async function attempt(): Promise<void> {
        if (hasEnded || tries === MOST_TRIES) return
        tries += 1
        underWay += 1
        if (tries > 1) measure('hedge', 1)
        const answer = await send(options, request, aborting.signal)
        underWay -= 1
        if (answer !== undefined) end(answer)
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

/** One try. @returns undefined if nobody can tell from the answer what has happened. */
async function send(
  { url, credential, fetch }: TransportOptions,
  { path, key, ip, body }: WireRequest,
  signal: AbortSignal,
): Promise<WireAnswer | undefined> {
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
    return answerOf(response, JSON.parse(await response.text()))
  } catch {
    return undefined
  }
}

const PROBLEM = 'urn:bursar:problem:'

/** @returns undefined for failures of Bursar, and for refusals of others on the way, such as a gateway's 429. */
function answerOf({ status, ok, headers }: Response, body: unknown): WireAnswer | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { type } = body as { type?: unknown }
  const code = codeOf(type)
  if (status >= 500 || (!ok && code === undefined)) return undefined
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
