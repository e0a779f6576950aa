import { TOTP } from 'otpauth'
import type { App } from './app.ts'
import type { Person, SignedInPerson } from './people.ts'

const STEP_MS = 30_000

/** The code that an authenticator app shows now, or so many steps of 30 s from now. */
export const appCode = (seed: string, steps = 0): string =>
  new TOTP({ secret: seed }).generate({ timestamp: Date.now() + steps * STEP_MS })

/** Six digits that no step near this one has. */
export function wrongAppCode(seed: string, nth = 0): string {
  const near = [-2, -1, 0, 1, 2].map((steps) => appCode(seed, steps))
  const wrong = Array.from({ length: 20 }, (_, n) => `1234${String(n).padStart(2, '0')}`)
  return wrong.filter((code) => !near.includes(code))[nth] ?? ''
}

/** Begins enrolment. @returns the seed. */
export async function enrol(app: App, { accessToken: token }: SignedInPerson): Promise<string> {
  const { status, body } = await app.request('POST', '/v1/auth/2FA', { token })
  if (status !== 200) throw new Error(`enrolment answered ${status}`)
  return body.seed
}

/** Switches two-factor authentication on, and lets a step pass so that the app's next code counts. */
export async function withTwoFactor<P extends SignedInPerson>(
  app: App,
  person: P,
): Promise<P & { seed: string; recoveryCodes: string[] }> {
  const seed = await enrol(app, person)
  const json = { code: appCode(seed) }
  const { status, body } = await app.request('POST', '/v1/auth/verify2FA', {
    token: person.accessToken,
    json,
  })
  if (status !== 200) throw new Error(`activation answered ${status}`)
  app.advance(STEP_MS)
  return { ...person, seed, recoveryCodes: body.recoveryCodes }
}

/** Has a reset code mailed, as the job does. @returns the code. */
export async function resetCode(app: App, email: string): Promise<string> {
  await app.request('POST', '/v1/user/resetPassword', { json: { email } })
  await app.job('send-mail')
  return app.mailedCode(email)
}

/** The same code with another secret half. */
export const wrongHalf = (code: string, nth = 0): string => code.slice(0, 16) + String(nth).repeat(16)

/** What a session's access token and its refresh token are answered: 200 and 200 while it lives. */
export async function sessionStatuses(
  app: App,
  { accessToken, refreshToken }: Pick<SignedInPerson, 'accessToken' | 'refreshToken'>,
): Promise<[access: number, refresh: number]> {
  const access = await app.request('GET', '/api/users/current', { token: accessToken })
  const refresh = await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
  return [access.status, refresh.status]
}

/** What a sign-in with this password is answered. */
export async function signInStatus(
  app: App,
  { email }: Pick<Person, 'email'>,
  password: string,
  twofa?: string,
): Promise<number> {
  const json = { email, password, twofa }
  return (await app.request('POST', '/v1/auth/login', { json })).status
}
