import { displayName, type Profile } from '../account/account.ts'
import type { CustomerChanges, Deps } from '../ports.ts'
import { asciiEmail } from './ascii-email.ts'

/** How the provider's customer is called and reached. */
export function customerDetails({
  email,
  name,
  username,
}: Pick<Profile, 'email' | 'name' | 'username'>): CustomerChanges {
  const ascii = asciiEmail(email)
  return {
    name: displayName({ ...(name !== undefined && { name }), username }),
    ...(ascii && { email: ascii }),
  }
}

/** The customer is served without an address at the provider, which sends no mail of its own then. */
export function emailRefused(deps: Deps, accountId: string): void {
  const what = 'Stripe does not take the e-mail address of a customer; the customer is kept without it'
  deps.log.warn(what, undefined, { accountId })
}
