import { TOTP } from 'otpauth'
import { expr } from '../../core/table/expression.ts'
import { keys, recoveryKey } from '../../core/table/keys.ts'
import type { App } from './app.ts'
import type { Person, SignedInPerson } from './people.ts'

const STEP_MS = 30_000

/** The code that an authenticator app shows now, or `steps` steps of 30 s from now. */
export const appCode = (seed: string, steps = 0): string =>
  new TOTP({ secret: seed }).generate({ timestamp: Date.now() + steps * STEP_MS })

/** Six digits that are not the code of any step near the current one. */
export function wrongAppCode(seed: string, nth = 0): string {
  const near = [-2, -1, 0, 1, 2].map((steps) => appCode(seed, steps))
  const wrong = Array.from({ length: 20 }, (_, n) => `1234${String(n).padStart(2, '0')}`)
  return wrong.filter((code) => !near.includes(code))[nth] ?? ''
}

/** Starts the enrolment of two-factor authentication. @returns the seed. */
export async function enrol(app: App, { accessToken: token }: SignedInPerson): Promise<string> {
  const { status, body } = await app.request('POST', '/v1/auth/2FA', { token })
  if (status !== 200) throw new Error(`enrolment answered ${status}`)
  return body.seed
}

/**
 * Switches two-factor authentication on, then moves the clock by one step so that the app's next code is new.
 */
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

/**
 * Gives an account a second factor that nobody has, and, if a time is given, a recovery that began then. Without
 * `withTwoFactor`'s requests, which move the clock.
 */
export async function loseFactors(
  app: App,
  { accountId }: Pick<SignedInPerson, 'accountId'>,
  beganAtMs?: number,
): Promise<void> {
  const { table } = await app.ports()
  const totp = { seed: 'lost', lastStep: 0, recovery: {} }
  await table.update(keys.profile(accountId), expr`SET #totp = ${totp}`)
  if (beganAtMs === undefined) return
  await table.update(keys.profile(accountId), expr`SET #recovery = ${{ beganAtMs }}`)
  await table.put({ ...recoveryKey(accountId), beganAtMs, daysTold: 0 })
}

/** Asks for a code of a recovery and runs the job that mails the code, after other mails. @returns the code. */
export async function recoveryCode(app: App, email: string): Promise<string> {
  await app.job('send-mail')
  await app.request('POST', '/v1/auth/recovery/code', { json: { email } })
  await app.job('send-mail')
  return app.mailedCode(email)
}

/** Asks for a reset code and runs the job that mails the code. @returns the code. */
export async function resetCode(app: App, email: string): Promise<string> {
  await app.request('POST', '/v1/user/resetPassword', { json: { email } })
  await app.job('send-mail')
  return app.mailedCode(email)
}

/** The code with a wrong secret half. */
export const wrongHalf = (code: string, nth = 0): string => code.slice(0, 16) + String(nth).repeat(16)

/** The statuses for a session's access token and its refresh token: both are 200 while the session lives. */
export async function sessionStatuses(
  app: App,
  { accessToken, refreshToken }: Pick<SignedInPerson, 'accessToken' | 'refreshToken'>,
): Promise<[access: number, refresh: number]> {
  const access = await app.request('GET', '/api/users/current', { token: accessToken })
  const refresh = await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
  return [access.status, refresh.status]
}

/** The status of a sign-in with this password. */
export async function signInStatus(
  app: App,
  { email }: Pick<Person, 'email'>,
  password: string,
  twofa?: string,
): Promise<number> {
  const json = { email, password, twofa }
  return (await app.request('POST', '/v1/auth/login', { json })).status
}
