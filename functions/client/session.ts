import { BursarError } from './errors.ts'

/** The tokens of a session, as signing in answers them. A refresh token alone is enough. */
export interface Tokens {
  accessToken?: string | undefined
  refreshToken?: string | undefined
}

/** Holds the tokens of one session and gets new access tokens. */
export interface Session {
  set(tokens: Tokens | undefined): Promise<void>
  readonly inCookie: boolean
  tokens(): Tokens | undefined
  /** Forgets the tokens if this access token is the current one. */
  end(accessToken: string): Promise<void>
  /**
   * An access token other than `expired`.
   * @throws BursarError `unauthorized` if nobody is signed in; as `refresh` does
   */
  accessToken(expired?: string): Promise<string>
  /** Whether somebody is signed in. @throws BursarError if that cannot be found out */
  restore(): Promise<boolean>
  /** The input of a call about a session, whose refresh token is in the cookie unless the input names one. */
  placed(input: Tokens | undefined): object | undefined
}

/** What a session needs from outside. */
export interface SessionOptions {
  /** The tokens of a session that was kept. */
  first: Tokens | undefined
  /** The browser keeps the refresh token in a cookie, so there may be a session although no token is known. */
  inCookie: boolean
  /** Hears of every change, before the call that caused the change is answered; undefined: signed out */
  onTokens: (tokens: Tokens | undefined) => unknown
  /** Asks Bursar for a new access token, with the cookie if there is no refresh token. */
  refresh: (refreshToken: string | undefined) => Promise<Tokens>
}

const refused = (code: 'unauthorized' | 'token_expired' | 'session_ended', message: string) =>
  new BursarError(code, { status: 401, message })

const isEnd = (error: unknown): boolean => error instanceof BursarError && error.code === 'session_ended'

export function openSession({ first, inCookie, onTokens, refresh }: SessionOptions): Session {
  let current = first
  /** Whether it is known that the browser has no cookie of a live session. */
  let isOut = false
  /** The refresh that is under way, and the tokens that it replaces. */
  let running: { of: Tokens | undefined; done: Promise<void> } | undefined

  async function set(tokens: Tokens | undefined): Promise<void> {
    current = tokens
    isOut = tokens === undefined
    await onTokens(tokens)
  }

  async function replace(old: Tokens | undefined): Promise<void> {
    try {
      const tokens = await refresh(old?.refreshToken)
      // Somebody who signed in meanwhile has another session, which must stay.
      if (current !== old) return
      // Another tab has signed somebody else in: this page shows the account of before.
      if (inCookie && accountOf(old) !== undefined && accountOf(old) !== accountOf(tokens)) {
        throw refused('session_ended', 'Somebody else has signed in. Load the page again.')
      }
      await set(tokens)
    } catch (error) {
      if (isEnd(error) && current === old) await set(undefined)
      throw error
    }
  }

  /** Calls that need a new access token at the same time share one refresh. */
  async function refreshOnce(old: Tokens | undefined): Promise<void> {
    if (running === undefined || running.of !== old) {
      const done = replace(old).finally(() => {
        if (running?.done === done) running = undefined
      })
      running = { of: old, done }
    }
    await running.done
  }

  async function accessToken(expired?: string): Promise<string> {
    if (current?.accessToken !== undefined && current.accessToken !== expired) return current.accessToken
    const old = current
    const canRefresh = inCookie ? !isOut : old?.refreshToken !== undefined
    if (!canRefresh) {
      throw refused(
        expired === undefined ? 'unauthorized' : 'token_expired',
        'Nobody is signed in, or the access token has expired and there is no refresh token.',
      )
    }
    try {
      await refreshOnce(old)
    } catch (error) {
      // The page has just been loaded, and no session was there to end.
      throw isEnd(error) && old === undefined ? refused('unauthorized', 'Nobody is signed in.') : error
    }
    if (current?.accessToken === undefined)
      throw refused('session_ended', 'The session was ended. Sign in again.')
    return current.accessToken
  }

  return {
    set,
    inCookie,
    accessToken,
    tokens: () => current,
    async end(token) {
      if (current?.accessToken === token) await set(undefined)
    },
    async restore() {
      try {
        await accessToken()
        return true
      } catch (error) {
        if (error instanceof BursarError && error.status === 401) return false
        throw error
      }
    },
    placed: (input) =>
      inCookie && input?.refreshToken === undefined ? { ...input, session: 'cookie' } : input,
  }
}

/** Whose access token it is, unverified: Bursar verifies it. Undefined without one that can be read. */
function accountOf(tokens: Tokens | undefined): unknown {
  const payload = tokens?.accessToken?.split('.')[1]
  if (payload === undefined) return undefined
  try {
    return JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))).username
  } catch {
    return undefined
  }
}
