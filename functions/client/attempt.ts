import { BursarError, errorOf } from './errors.ts'

/** The part of `fetch` that the client uses. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** A request that can be sent more than once. */
export interface Attempt {
  method: string
  url: string
  headers: Record<string, string>
  body: string | Uint8Array<ArrayBuffer> | undefined
  /** The caller's signal. */
  signal: AbortSignal | undefined
  /** After so many milliseconds one try is given up. */
  timeoutMs: number
}

/** The answer of a success. `body` is the parsed JSON; undefined without a body. */
export interface Answer {
  status: number
  headers: Headers
  body: unknown
}

/** What the client needs of the world besides `fetch`; tests have their own. */
export interface Effects {
  wait(ms: number, signal: AbortSignal | undefined): Promise<void>
  random(): number
}

/** How a request may be repeated. */
export interface RetryPolicy {
  /** Repeats at most. */
  retries: number
  /** The longest wait before a repeat, milliseconds. An error that asks for a longer one is thrown at once. */
  maxWaitMs: number
  /** A repeat of a request that has succeeded changes nothing more. */
  repeats: boolean
  /** The request has an Idempotency-Key. */
  named: boolean
}

/** Waits that can be aborted, and real chance. */
export const realEffects: Effects = {
  random: Math.random,
  wait: (ms, signal) =>
    abortable(
      new Promise<void>((resolve) => {
        const stop = () => clearTimeout(timer)
        const timer = setTimeout(() => {
          // A signal may live as long as the process.
          signal?.removeEventListener('abort', stop)
          resolve()
        }, ms)
        signal?.addEventListener('abort', stop, { once: true })
      }),
      signal,
    ),
}

/** The promise's outcome, or the signal's reason as soon as the caller aborts. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * Sends a request once and reads the answer.
 * @throws BursarError for everything but a success; the reason of the caller's signal
 */
async function sendOnce(fetch: Fetch, attempt: Attempt): Promise<Answer> {
  const { method, url, headers, body, signal, timeoutMs } = attempt
  const idempotencyKey = headers['idempotency-key']
  const controller = new AbortController()
  const init: RequestInit = { method, headers, redirect: 'manual', signal: controller.signal }
  if (body !== undefined) init.body = body
  let late = false
  const stop = () => controller.abort(signal?.reason)
  const timer = setTimeout(() => {
    late = true
    controller.abort()
  }, timeoutMs)
  signal?.addEventListener('abort', stop, { once: true })
  let response: Response
  let text: string
  try {
    signal?.throwIfAborted()
    // A custom `fetch` may not heed its signal.
    response = await abortable(fetch(url, init), controller.signal)
    text = await abortable(response.text(), controller.signal)
  } catch (cause) {
    signal?.throwIfAborted()
    const message = late ? `No answer within ${timeoutMs} ms.` : 'The connection was lost before the answer.'
    throw new BursarError(late ? 'timed_out' : 'connection_lost', {
      status: 0,
      message,
      idempotencyKey,
      cause,
    })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
  return read(response, text, idempotencyKey)
}

const BODILESS: readonly number[] = [201, 204]

function read(response: Response, text: string, idempotencyKey: string | undefined): Answer {
  const { status, headers, ok } = response
  let body: unknown
  try {
    // Only Bursar's 201 and 204 have no body.
    body = text === '' && (!ok || BODILESS.includes(status)) ? undefined : JSON.parse(text)
  } catch {
    if (ok) {
      throw new BursarError('unexpected_answer', {
        status,
        message: 'The answer is not JSON.',
        idempotencyKey,
      })
    }
  }
  const answer = { status, headers, body }
  if (!ok) throw errorOf(answer, idempotencyKey)
  return answer
}

/** The wait before the first repeat of a request whose answer was lost, milliseconds; each further one is twice as long. */
const FIRST_WAIT_MS = 250

/**
 * How long to wait before the request is repeated, milliseconds; undefined if it must not be repeated. A 429 had no
 * effect. Any other lack of an answer may hide an effect, so only requests are repeated that can be.
 * @param tries tries so far
 */
export function waitBeforeRepeat(
  error: BursarError,
  tries: number,
  policy: RetryPolicy,
  random: number,
): number | undefined {
  if (tries > policy.retries) return undefined
  const unknown = error.status === 0 || error.status >= 500
  const inFlight = error.code === 'request_in_flight' && policy.named
  if (!(error.status === 429 || inFlight || (unknown && policy.repeats))) return undefined
  const askedMs = (error.retryAfter ?? 0) * 1000
  const backoffMs = FIRST_WAIT_MS * 2 ** (tries - 1) * (0.5 + random / 2)
  const waitMs = askedMs > 0 ? askedMs + random * FIRST_WAIT_MS : backoffMs
  return askedMs > policy.maxWaitMs ? undefined : waitMs
}

/**
 * Sends a request, and repeats it as the policy allows.
 * @throws as `sendOnce`, with the error of the last try
 */
export async function sendRepeatedly(
  fetch: Fetch,
  attempt: Attempt,
  policy: RetryPolicy,
  effects: Effects,
): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await sendOnce(fetch, attempt)
    } catch (error) {
      const waitMs =
        error instanceof BursarError ? waitBeforeRepeat(error, tries, policy, effects.random()) : undefined
      if (waitMs === undefined) throw error
      await effects.wait(waitMs, attempt.signal)
    }
  }
}
