import { signal } from '@preact/signals'
import { createClient } from 'bursar/client'
import { store, stored } from '../kit/language.ts'

/**
 * Who uses the page: `in`; `out`; or `ended` while a page is shown whose session has ended, so that nothing typed is lost.
 */
export const session = signal<'in' | 'out' | 'ended'>('out')

/** Somebody who has registered or tried to sign in before the address was confirmed; confirming it signs them in. */
export const registered = signal<
  (({ username: string } | { email: string }) & { password: string }) | undefined
>(undefined)

/** Whether this browser has a session, as far as a script can know: its cookie is hidden from scripts. */
const HINT = 'bursar.session'

/** The one client of the page. The refresh token is in a cookie that no script can read, the access token in memory. */
export const client = createClient({
  url: location.origin,
  session: 'cookie',
  onChallenge: async (challenge) => (await import('../kit/challenge.tsx')).solve(challenge),
  onTokens: (tokens) => {
    store(HINT, tokens ? 'yes' : null)
    session.value = tokens ? 'in' : session.value === 'in' ? 'ended' : 'out'
  },
})

/** Goes on with the session of this browser, if it has one. */
export async function restored(): Promise<boolean> {
  return stored(HINT) !== null && (await client.restore())
}

/** Signs out here. The page is left even if the API does not answer: its access token is forgotten all the same. */
export async function signOut(everywhere = false): Promise<void> {
  session.value = 'out'
  store(HINT, null)
  await client.sessions.logout(everywhere ? { everywhere } : {})
}
