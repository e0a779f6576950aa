import type { Deps } from '../ports.ts'
import { DAY_MS } from '../time.ts'

/** Life of a session, which is that of its refresh token at the vault. */
export const SESSION_MS = 30 * DAY_MS

/** When a session began, epoch ms. Sessions of application keys from before that was kept end within 15 minutes. */
interface Begun {
  sinceMs?: number | undefined
}

/**
 * Whether the deployment lets the session live: a table that was restored lists sessions again that have ended since its
 * backup, so the setting SESSIONS_SINCE ends every session that began before it. Nothing is read or written for that.
 */
export const isSinceRestore = ({ sessionsSinceMs }: Deps, { sinceMs = 0 }: Begun): boolean =>
  sessionsSinceMs === undefined || sinceMs >= sessionsSinceMs

/**
 * The session of this id, if the account lists it and the deployment lets it live. An earlier version let people sign in
 * before the address was confirmed.
 */
export function liveSession<S extends Begun>(
  deps: Deps,
  { sessions, emailVerified }: { sessions: Readonly<Record<string, S>>; emailVerified: boolean },
  sessionId: string,
): S | undefined {
  const session = Object.hasOwn(sessions, sessionId) ? sessions[sessionId] : undefined
  return session && emailVerified && isSinceRestore(deps, session) ? session : undefined
}
