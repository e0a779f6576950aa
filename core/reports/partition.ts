import type { Deps } from '../ports.ts'
import { endOfKind, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'

/** What is read of an account. */
export interface Partition {
  items: Item[]
  /** Whether these are all items of the account, apart from those beyond `LAST_KIND`. */
  isWhole: boolean
}

/** Items of an account that are read at once. One that was used each day for two years has about as many. */
const MOST_ITEMS = 1000

/** The kinds beyond it are digests of request ids and uses by tag: there are many, and they say nothing here. */
const LAST_KIND = 'REVOKED#'

/** The kinds that are read on their own if the account has more items, and of each the newest. */
const KINDS = [
  ...[
    '#',
    'ALARM#',
    'ALERT#',
    'AUDIT#',
    'CARD#',
    'HOLD#',
    'KEY#',
    'LEDGER#',
    'MAIL#',
    'NOTICE#',
    'OUTEVENT#',
  ],
  ...['PURCHASE#', 'RECOVERY', 'RESERVED#'],
]
const NEWEST = 25

/**
 * Reads an account with one Query. If it has more than `MOST_ITEMS` items, the newest of each kind are read with one
 * more Query each: so the cost has a limit, however long the account has been there.
 */
export async function readPartition(deps: Deps<'table'>, accountId: string): Promise<Partition> {
  const pk = keys.account(accountId)
  const between = ['#', endOfKind(LAST_KIND)] as const
  const { items, isLast } = await deps.table.page(pk, '', { between, limit: MOST_ITEMS })
  if (isLast) return { items, isWhole: true }
  const kinds = await Promise.all(
    KINDS.map((prefix) => deps.table.list(pk, prefix, { limit: NEWEST, newestFirst: true })),
  )
  return { items: kinds.flat(), isWhole: false }
}
