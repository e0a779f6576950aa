import type { ListedSession } from '../../core/credentials/session-list.ts'
import type { SignedIn } from '../../core/credentials/sessions.ts'
import { isoTime } from './time-shapes.ts'

/** The tokens of a session; `expiresIn` is in seconds, as in OAuth 2.0 (RFC 6749, 5.1). */
export const sessionTokens = ({ accessToken, refreshToken, expiresInSeconds }: SignedIn) => ({
  accessToken,
  refreshToken,
  expiresIn: expiresInSeconds,
})

/** The access token of a session that has no other. */
export const accessToken = ({ accessToken, expiresInSeconds }: Omit<SignedIn, 'refreshToken'>) => ({
  accessToken,
  expiresIn: expiresInSeconds,
})

/** A session in the list of its account. */
export const listedSession = ({ id, sinceMs, seenMs, device, isCurrent }: ListedSession) => ({
  id,
  since: isoTime(sinceMs),
  lastSeen: isoTime(seenMs),
  userAgent: device ?? null,
  current: isCurrent,
})
