import { DomainError } from '../errors.ts'
import type { Account } from './account.ts'
import { emailKey } from './fields.ts'
import { type RegisterDeps, type Registration, registerAccount } from './register.ts'

/** How many usernames are tried for an address. More than one account may have begun with it, each at its time. */
const NAMES = 5

/**
 * Registers an account without a username of its owner's choice, as GreenCloud does. The username follows from the
 * address, so that a repeat of the request finds the account that it has made; it tells nobody the address.
 * @throws DomainError `email_taken`, and as `registerAccount`
 */
export async function registerByEmail(
  deps: RegisterDeps,
  input: Omit<Registration, 'username'>,
): Promise<Account> {
  let refused: DomainError | undefined
  for (let nth = 0; nth < NAMES; nth++) {
    // While the root secret rotates, an earlier copy of the request may have got its name by the other one.
    for (const username of usernamesFor(deps, input.email, nth)) {
      try {
        return await registerAccount(deps, { ...input, username })
      } catch (error) {
        // The name is that of an account that has another address by now, or of one that is too old for a repeat.
        if (!(error instanceof DomainError && isTaken(error))) throw error
        if (error.code === 'email_taken') refused = error
      }
    }
    if (refused) throw refused
  }
  throw new DomainError('email_taken')
}

const isTaken = ({ code }: DomainError): boolean => code === 'username_taken' || code === 'email_taken'

const usernamesFor = (deps: RegisterDeps, email: string, nth: number): string[] =>
  deps.keyring
    .macs('mac:username', emailKey(email), String(nth))
    .map((mac) => `user-${mac.toString('hex').slice(0, 16)}`)
