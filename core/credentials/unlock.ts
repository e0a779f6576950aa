import type { Account } from '../account/account.ts'
import { changeAnyAccount } from '../account/change.ts'
import { emailKey, usernameKey } from '../account/fields.ts'
import { auditWrites } from '../audit/entry.ts'
import { limitKey } from '../limits/limits.ts'
import { mailboxOf } from '../limits/mailbox.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { type Key, keys } from '../table/keys.ts'
import { ignoreRefusal, type Write } from '../table/table.ts'
import { mailRequestPurposes } from './mail-requests.ts'
import { strangersKey } from './stranger-tries.ts'

/**
 * Lifts everything that keeps an owner out for a time: the counts of wrong passwords and of wrong two-factor codes, and
 * the hourly limits of mails, changes of the address and exports, and the weekly one of recoveries. What protects
 * others stays: limits of network addresses, and those of cards. The password vault has a lock of its own that nobody
 * can lift; it ends within 15 minutes.
 * @throws DomainError `not_found`, `conflict`
 */
export async function unlockAccount(
  deps: Deps<'table' | 'keyring'>,
  accountId: string,
  reason: string,
): Promise<void> {
  const account = await changeAnyAccount(deps, accountId, async (each) => {
    await deps.table.transact(unlocking(deps, each, reason))
    return each
  })
  // A request for a mail that waits is answered, whatever was mailed before.
  const forget = (key: Key) =>
    deps.table.update(key, expr`REMOVE #sentAtMs`, expr`attribute_exists(pk)`).catch(ignoreRefusal)
  await Promise.all(
    addressesOf(account).flatMap((address) =>
      mailRequestPurposes.map((purpose) => forget(keys.ask(purpose, emailKey(address)))),
    ),
  )
}

const addressesOf = ({ email, pendingEmail }: Account): string[] =>
  pendingEmail === undefined ? [email] : [email, pendingEmail]

function unlocking(deps: Deps<'keyring'>, account: Account, reason: string): Write[] {
  const { id, username, email, twofaTries } = account
  const guards = [keys.emailGuard(emailKey(email)), keys.usernameGuard(usernameKey(username))]
  const limits = addressesOf(account).map((address) => limitKey(deps, 'confirm-to', mailboxOf(address)))
  return [
    {
      update: keys.profile(id),
      set: expr`SET #twofaTries = ${0} REMOVE #emailChangesMs, #exportsMs, #recoveriesMs`,
      if: expr`#email = ${email} AND #username = ${username}`,
    },
    ...guards.map((guard): Write => ({ remove: keys.passwordTries(guard) })),
    { remove: strangersKey(deps, id) },
    ...limits.map((key): Write => ({ remove: key })),
    ...auditWrites(deps, { action: 'operator.unlocked', accountId: id, reason, before: { twofaTries } }),
  ]
}
