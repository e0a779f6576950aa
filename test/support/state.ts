import { readAccount } from '../../core/account/account.ts'
import { emailKey, usernameKey } from '../../core/account/fields.ts'
import type { Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import type { App } from './app.ts'
import type { Person } from './people.ts'

/** The account that has a username. */
export async function accountIdOf(app: App, username: string): Promise<string> {
  const { table } = await app.ports()
  return String((await table.get(keys.usernameGuard(usernameKey(username))))?.accountId)
}

/** The accounts that hold a person's names, according to the table and the vault. */
export async function whoHas(app: App, ports: Ports, person: Person) {
  const byUsername = await ports.table.get(keys.usernameGuard(usernameKey(person.username)))
  const byEmail = await ports.table.get(keys.emailGuard(emailKey(person.email)))
  const accountId = byUsername && String(byUsername.accountId)
  const account = accountId === undefined ? undefined : await readAccount(ports, accountId)
  return {
    accountId,
    emailOwner: byEmail && String(byEmail.accountId),
    account,
    inVault: accountId !== undefined && app.stack.cognito.users().includes(accountId),
  }
}
