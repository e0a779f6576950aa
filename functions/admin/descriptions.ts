import { markdown } from '../http/markdown.ts'

const PAGES = [
  '`page` is a number from 1 on, and `limit` 1 to 25. With another page, the header `Link` leads to it. Pages reach the first',
  '1,000 entries.',
] as const

const REASON =
  'The body may have a `reason` for the audit log; without one it is the name of this route. A repeat changes nothing.'

/** What a caller must know of each endpoint, for the OpenAPI document. */
export const descriptions = {
  listUsers: markdown(
    'All accounts but those that were erased. `status` is 0 active, 1 suspended or not registered to the end, 2 deactivated.',
    '',
    ...PAGES,
    'What is further on, `GET /ops/read/accounts` lists with its cursors.',
  ),
  suspendUser: markdown(
    'As `POST /ops/support/accounts/{id}/suspend`: its owner is told by mail and notice, and can lift it in no way.',
    REASON,
  ),
  activateUser: markdown(
    'As `POST /ops/support/accounts/{id}/resume`: an account that its owner had deactivated before is deactivated again. One that',
    'is not suspended stays as it is.',
    REASON,
  ),
  listInvoices: markdown(
    'Every purchase that was paid, as it stands now. `user` is the id of the account.',
    '',
    ...PAGES,
  ),
  listUserInvoices: markdown('Every purchase that was paid, as it stands now.', '', ...PAGES),
  defaultQuota: markdown(
    'Of the plans as they are sold now: `units` that a purchase adds, and the shares of them below which the owner is told',
    '(`lowPercent`) and the plan renews (`renewalPercent`). `PUT /ops/admin/plans` changes them.',
  ),
  getQuota: markdown(
    'Units that are `left` can be spent, `reserved` ones are neither left nor used, and `owed` ones are taken from the next',
    'credit. `bundle` is the plan that the account holds, or null, and `bundleUnits` what it adds.',
  ),
  setQuota: markdown(
    'Grants the units that are missing to `left`, or takes those that are too many. Of an account that owes units, the grant',
    'pays these, too. The owner is told by a notice. A consume at the same time is counted before or after it.',
    '',
    'A repeat with the same `Idempotency-Key` changes nothing, and answers how many units are left now. Without the header a',
    'repeat sets the units again.',
  ),
} as const
