import { displayName, type Profile } from '../account/account.ts'
import type { BillingAddress, CustomerChanges, Deps } from '../ports.ts'
import { asciiEmail } from './ascii-email.ts'

/** How the provider's customer is called and reached. */
export function customerDetails({
  email,
  name,
  username,
  address,
}: Pick<Profile, 'email' | 'name' | 'username'> & Partial<Pick<Profile, 'address'>>): CustomerChanges {
  const ascii = asciiEmail(email)
  return {
    ...(address && { address: billingAddress(address) }),
    name: displayName({ ...(name !== undefined && { name }), username }),
    ...(ascii && { email: ascii }),
  }
}

/** The customer is served without an address at the provider, which sends no mail of its own then. */
export function emailRefused(deps: Deps, accountId: string): void {
  const what = 'Stripe does not take the e-mail address of a customer; the customer is kept without it'
  deps.log.warn(what, undefined, { accountId })
}

/** A billing address as the provider keeps it, which has one line for what follows the street. */
export const billingAddress = (address: NonNullable<Profile['address']>): BillingAddress => ({
  line1: address.street,
  line2: address.street2 ?? address.company,
  city: address.city,
  state: address.district,
  postalCode: address.postCode,
  country: address.country,
})
