import type { Account } from '../account/account.ts'
import { announce } from '../notifications/security.ts'
import type { Deps } from '../ports.ts'
import { renewalDue } from '../quota/renewal-call.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'

/**
 * What makes an account active again, whoever proves to be its owner: an assignment for the profile, and the other
 * writes of its transaction. Consumes are allowed again, and the job renews a bundle that ran out meanwhile.
 */
export function restoration(deps: Deps, account: Account): { set: Expression; writes: Write[] } {
  const { id, bundle, status } = account
  const unblock =
    bundle === undefined ? expr`REMOVE #x` : join([expr`SET `, renewalDue(deps, id), expr` REMOVE #x`], '')
  return {
    set: expr`#status = ${'active'}`,
    writes: [
      { update: keys.quota(id), set: unblock },
      // An account that is active already is not restored.
      ...(status === 'deactivated' ? announce(deps, account, 'restored') : []),
    ],
  }
}
