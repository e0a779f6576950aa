import { addAdminKey, revokeAdminKey } from '../../core/operators/admin-keys.ts'
import type { Role } from '../../core/operators/operator.ts'
import type { App } from './app.ts'
import { defaultKey } from './keys.ts'
import { adminKeyToken } from './operators.ts'
import type { SignedInPerson } from './people.ts'
import type { TestAnswer } from './send.ts'

let made = 0

/** An admin key of a program. */
export interface TestAdminKey {
  name: string
  credential: string
}

/** Names are in the order in which they were made. */
export const newAdminKeyName = (): string => `back-office-${String(++made).padStart(4, '0')}`

/** Makes an admin key with a name of its own. */
export async function newAdminKey(app: App, role: Role): Promise<TestAdminKey> {
  const name = newAdminKeyName()
  return { name, credential: (await addAdminKey(await app.ports(), { name, role })).credential }
}

export const revokeKey = async (app: App, { name }: TestAdminKey) => revokeAdminKey(await app.ports(), name)

/** Sends a request to EMCP's admin API with a key. @param path what follows `/admin/api`. */
export const askAs = (
  app: App,
  { credential }: Pick<TestAdminKey, 'credential'>,
  method: string,
  path: string,
  json?: unknown,
  headers: Record<string, string> = {},
): Promise<TestAnswer> =>
  app.request(method, `/admin/api${path}`, { token: adminKeyToken(credential), headers, json })

/** The entries in the audit log of everything that was done with a key. */
export const entriesOf = async (app: App, { name }: TestAdminKey) =>
  (await app.ports()).table.list(`OPERATOR#${name}`, 'AUDIT#')

/** A person with the 100 units of the trial, as the ledger has them, and an application key. */
export async function newUser(app: App): Promise<SignedInPerson & { key: string }> {
  const person = await app.signUp()
  return { ...person, key: await defaultKey(app, person) }
}
