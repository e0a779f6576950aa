import { DAY_MS } from '../time.ts'

/** Life of a session, which is that of its refresh token at the vault. */
export const SESSION_MS = 30 * DAY_MS
