import { type Account, readAccount } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { accountIdIn } from '../table/keys.ts'
import { ignoreRefusal } from '../table/table.ts'
import { syncCustomer } from './customer.ts'
import { customerDetails, emailRefused } from './details.ts'

/**
 * Brings the names, e-mail addresses and billing addresses of customers at the provider up to date.
 * @returns how many customers were updated, and how many failed and stay due.
 */
export function sweepCustomerDetails(deps: Deps<'table' | 'payments'>, run: Run): Promise<Worked> {
  return eachDue(deps, 'CUSTOMER', run, async (key) => {
    const item = await deps.table.get(key)
    const account = await readAccount(deps, accountIdIn(key))
    if (!item || !account) return false
    const isSent = await sendDetails(deps, account)
    // A change that came meanwhile has set another time, and stays due.
    const unchanged = expr`#dueAtMs = ${item.dueAtMs}`
    await deps.table.update(key, expr`REMOVE #due, #dueAtMs`, unchanged).catch(ignoreRefusal)
    return isSent
  })
}

async function sendDetails(deps: Deps<'table' | 'payments'>, account: Account): Promise<boolean> {
  const { id: accountId, customer } = account
  if (!customer) return false
  const details = customerDetails(account)
  try {
    const { email } = await deps.payments.updateCustomer(customer.id, details)
    if (email !== details.email || email === undefined) emailRefused(deps, accountId)
    return true
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'not_found')) throw error
    // The operator has deleted the customer. The next card creates another one, with these details.
    await syncCustomer(deps, accountId, customer.id)
    return false
  }
}
