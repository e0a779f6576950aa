import { addOperator } from '../../core/operators/accounts.ts'
import type { Role } from '../../core/operators/operator.ts'
import type { App } from './app.ts'
import { appCode, withTwoFactor } from './credentials.ts'
import type { SignedInPerson } from './people.ts'

/** Makes an account an operator of the console. */
export const makeOperator = async (app: App, account: string, role: Role) =>
  addOperator(await app.ports(), { account, role, reason: 'for a test' })

/** Makes a person who is an operator of the console, signed in with a code. */
export async function newOperator(app: App, role: Role): Promise<SignedInPerson & { seed: string }> {
  const person = await withTwoFactor(app, await app.signUp())
  await makeOperator(app, person.accountId, role)
  const json = { email: person.email, password: person.password, twofa: appCode(person.seed) }
  const { status, body } = await app.request('POST', '/v1/auth/login', { json })
  if (status !== 200) throw new Error(`sign-in answered ${status}`)
  return { ...person, accessToken: body.accessToken, refreshToken: body.refreshToken }
}
