import { signal } from '@preact/signals'
import { createClient } from 'bursar/client'
import { hasCode } from '../kit/problem.ts'

/** Whether somebody is signed in. */
export const session = signal<'in' | 'out'>('out')

/** The client of the account. It shares its session, which is in a cookie that no script can read, with the portal. */
export const client = createClient({
  url: location.origin,
  session: 'cookie',
  onChallenge: async (challenge) => (await import('../kit/challenge.tsx')).solve(challenge),
  onTokens: (tokens) => {
    if (tokens) session.value = 'in'
  },
})

/** Goes on with the session of this browser, if it has one. */
export const restored = (): Promise<boolean> => client.restore()

/**
 * Calls with the access token of the session; with a fresh one if there is none yet or it has expired.
 * @throws BursarError
 */
export async function withToken<T>(run: (token: string) => Promise<T>): Promise<T> {
  const token = client.tokens()?.accessToken
  try {
    if (token !== undefined) return await run(token)
  } catch (error) {
    if (!hasCode(error, 'token_expired')) throw error
  }
  // Whatever the account's client calls gets a fresh token first.
  await client.account.get()
  return run(client.tokens()?.accessToken ?? '')
}
