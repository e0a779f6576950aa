import type { SignedIn } from '../../core/credentials/sessions.ts'

/** The tokens of a session; `expiresIn` is in seconds, as in OAuth 2.0 (RFC 6749, 5.1). */
export const sessionTokens = ({ accessToken, refreshToken, expiresInSeconds }: SignedIn) => ({
  accessToken,
  refreshToken,
  expiresIn: expiresInSeconds,
})
