import type { Deps } from '../ports.ts'
import { readAllowance } from './allowance.ts'
import { type Use, useOf } from './consume.ts'
import { admitKey, readCounter } from './counter.ts'
import { forKey, type KeyOrAccount, type Spender } from './key-caller.ts'

/**
 * The units left, those used in all and those of open reservations, for whoever has a key of the account. One read.
 * @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended`
 */
export const readBalance = (
  deps: Deps<'table' | 'keyring'>,
  key: KeyOrAccount,
): Promise<Spender & Use & { reserved: number }> =>
  forKey(deps, key, async (caller) => {
    const counter = await readCounter(deps, caller.accountId)
    const now = await admitKey(deps, counter, caller)
    return { ...useOf(counter, await readAllowance(deps, now, counter)), reserved: counter.held }
  })
