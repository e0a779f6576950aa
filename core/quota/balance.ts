import type { Deps } from '../ports.ts'
import { DAY_MS } from '../time.ts'
import { readAllowance } from './allowance.ts'
import { type Use, useOf } from './consume.ts'
import { admitKey, readCounter } from './counter.ts'
import { readExpiring } from './expiry.ts'
import { forKey, type KeyOrAccount, type Spender } from './key-caller.ts'
import { dayOf } from './quota.ts'

/**
 * The units left, those used in all, those of open reservations and those that expire, for whoever has a key of the
 * account. One read, and another one if units expire.
 * @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended`
 */
export const readBalance = (
  deps: Deps<'table' | 'keyring'>,
  key: KeyOrAccount,
): Promise<Spender & Use & { reserved: number; expiring?: { units: number; atMs: number }[] }> =>
  forKey(deps, key, async (caller) => {
    const counter = await readCounter(deps, caller.accountId)
    const now = await admitKey(deps, counter, caller)
    const use = useOf(counter, await readAllowance(deps, now, counter))
    const { expired, expiring } = await readExpiring(deps, caller.accountId, counter)
    // Those that return from reservations after their expiry have until the next day.
    const tomorrow = dayOf(deps.clock.nowMs()) + 1
    return {
      ...use,
      left: use.left - expired,
      reserved: counter.held,
      ...(expiring.length > 0 && {
        expiring: expiring.map(({ units, day }) => ({ units, atMs: Math.max(day, tomorrow) * DAY_MS })),
      }),
    }
  })
