import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { writeAll } from '../table/write-all.ts'
import type { Account, Profile } from './account.ts'
import { changeAccount } from './change.ts'
import { customerDetailsDue } from './customer-due.ts'

type Address = NonNullable<Profile['address']>

/** What is to change of a billing address and a tax id. A field that is there and undefined is taken away. */
export interface BillingChange {
  address: { [Field in keyof Address]?: string | undefined }
  taxId?: string | undefined
}

/** What an address cannot do without, by the names of the only dialect that changes single fields of it. */
const REQUIRED = { street: 'address1', city: 'city', postCode: 'zip', country: 'country' } as const

/**
 * Changes single fields of the billing address, and the tax id. A repeat writes nothing. The sweep brings the address to the
 * payment provider's customer.
 * @returns the account after the change
 * @throws DomainError `invalid_request` if the address would be incomplete; `account_deactivated`, `account_suspended`,
 *   `conflict`
 */
export function setBilling(deps: Deps<'table'>, caller: Account, change: BillingChange): Promise<Account> {
  return changeAccount(deps, caller, async (account) => {
    const address = changedAddress(account, change)
    const taxId = 'taxId' in change ? change.taxId : account.taxId
    if (taxId === account.taxId && isSameAddress(address, account.address)) return account
    const updatedAtMs = deps.clock.nowMs()
    const set = [
      expr`#updatedAtMs = ${updatedAtMs}`,
      ...customerDetailsDue(deps, account),
      ...(address ? [expr`#address = ${address}`] : []),
      ...(taxId === undefined ? [] : [expr`#taxId = ${taxId}`]),
    ]
    const remove = taxId === undefined ? [expr`#taxId`] : []
    const unchanged = unchangedSince(account, ['status', 'address', 'taxId'])
    await writeAll(deps, [{ update: keys.profile(account.id), set: setRemove(set, remove), if: unchanged }])
    return { ...account, address, taxId, updatedAtMs }
  })
}

/** Whether two addresses have the same fields, which the table may give back in another order. */
function isSameAddress(one: Profile['address'], other: Profile['address']): boolean {
  const texts = [one, other].map((address) =>
    Object.entries(address ?? {})
      .sort()
      .join(),
  )
  return texts[0] === texts[1]
}

/** @throws DomainError `invalid_request` */
function changedAddress(account: Account, change: BillingChange): Profile['address'] {
  const fields = Object.entries({ ...account.address, ...change.address })
  const address = Object.fromEntries(fields.filter(([, value]) => value !== undefined))
  if (Object.keys(address).length === 0) return undefined
  const missing = Object.entries(REQUIRED).filter(([field]) => !Object.hasOwn(address, field))
  if (missing.length === 0) return address as unknown as Address
  const message = 'is required, because there is no address yet'
  throw new DomainError('invalid_request', { fields: missing.map(([, field]) => ({ field, message })) })
}
