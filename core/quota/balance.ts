import type { Deps } from '../ports.ts'
import { balanceOf, readCounter, requireAdmitted } from './counter.ts'
import { describeSpender, readKeyCaller, type Spender } from './key-caller.ts'

/**
 * The units left, those used in all and those of open reservations, for whoever has a key of the account. One read.
 * @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended`
 */
export async function readBalance(
  deps: Deps<'table' | 'keyring'>,
  key: string,
): Promise<Spender & { left: number; used: number; reserved: number }> {
  const caller = await readKeyCaller(deps, key)
  const counter = await readCounter(deps, caller.accountId)
  requireAdmitted(counter, caller)
  const { used, held: reserved } = counter
  return { left: balanceOf(counter), used, reserved, ...(await describeSpender(deps, caller)) }
}
