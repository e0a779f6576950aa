import { BursarError } from './errors.ts'

/** The tokens of a session, as signing in answers them. A refresh token alone is enough. */
export interface Tokens {
  accessToken?: string | undefined
  refreshToken?: string | undefined
}

export type Session = ReturnType<typeof openSession>

/**
 * Holds the tokens of one session and gets new access tokens.
 * @param onTokens hears of every change, before the call that caused the change is answered; undefined: signed out
 * @param refresh asks Bursar for a new access token
 */
export function openSession(
  first: Tokens | undefined,
  onTokens: (tokens: Tokens | undefined) => unknown,
  refresh: (refreshToken: string) => Promise<Tokens>,
) {
  let current = first
  /** The refresh that is under way, and the tokens that it replaces. */
  let running: { of: Tokens; done: Promise<void> } | undefined

  async function set(tokens: Tokens | undefined): Promise<void> {
    current = tokens
    await onTokens(tokens)
  }

  async function replace(old: Tokens, refreshToken: string): Promise<void> {
    try {
      const tokens = await refresh(refreshToken)
      // Somebody who signed in meanwhile has another session, which must stay.
      if (current === old) await set(tokens)
    } catch (error) {
      if (error instanceof BursarError && error.code === 'session_ended' && current === old)
        await set(undefined)
      throw error
    }
  }

  return {
    set,
    tokens: (): Tokens | undefined => current,
    /** Forgets the tokens if this access token is the current one. */
    async end(accessToken: string): Promise<void> {
      if (current?.accessToken === accessToken) await set(undefined)
    },
    /**
     * An access token other than `expired`. Calls that need one at the same time share one refresh.
     * @throws BursarError `unauthorized` without a refresh token; as `refresh` does
     */
    async accessToken(expired?: string): Promise<string> {
      if (current?.accessToken !== undefined && current.accessToken !== expired) return current.accessToken
      const old = current
      if (old?.refreshToken === undefined) {
        throw new BursarError(expired === undefined ? 'unauthorized' : 'token_expired', {
          status: 401,
          message: 'Nobody is signed in, or the access token has expired and there is no refresh token.',
        })
      }
      if (running?.of !== old) {
        const done = replace(old, old.refreshToken).finally(() => {
          if (running?.of === old) running = undefined
        })
        running = { of: old, done }
      }
      await running.done
      if (current?.accessToken === undefined) {
        throw new BursarError('session_ended', {
          status: 401,
          message: 'The session was ended. Sign in again.',
        })
      }
      return current.accessToken
    },
  }
}
