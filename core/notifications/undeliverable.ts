import type { Profile } from '../account/account.ts'
import { emailKey, isMailable } from '../account/fields.ts'
import { unmark } from '../account/listed.ts'
import { type Expression, expr } from '../table/expression.ts'
import type { Write } from '../table/table.ts'
import { DAY_MS } from '../time.ts'

/** The name of the tag by which an event about a mail finds its account. */
export const ACCOUNT_TAG = 'account'

type Marks = NonNullable<Profile['undeliverable']>

/** What the account says about the delivery of its mail. */
type Marked = Pick<Profile, 'email' | 'undeliverable'>

/** Whether mail to the account's own address does not arrive, as far as is known. */
export const isUndeliverable = ({ email, undeliverable = {} }: Marked): boolean =>
  !isMailable(email) || Object.hasOwn(undeliverable, emailKey(email))

/** After this time a person's request for a code may find out whether an address that bounced works again. */
const CODE_AGAIN_MS = DAY_MS

/**
 * Whether mail to an address of the account is held back. A complaint holds until the owner sets an address or
 * confirms a code, and so does the mark of an address that may be somebody else's by now. What bounced is tried again after a day, if somebody asks for a code: the owner may have no
 * other way in.
 */
export function holdsMailBack(
  { undeliverable = {} }: Pick<Profile, 'undeliverable'>,
  address: string,
  hasCode: boolean,
  nowMs: number,
): boolean {
  if (!isMailable(address)) return true
  const mark = undeliverable[emailKey(address)]
  if (!mark) return false
  const isFinal = mark.reason === 'complained' || mark.reason === 'replaced'
  return isFinal || !hasCode || nowMs < mark.atMs + CODE_AGAIN_MS
}

/**
 * What the profile's update contains once the owner has set an address or confirmed a code that arrived: mail goes
 * there again, and a late bounce of an earlier mail no longer counts.
 * @param kept the marks that stay; none if the account's own address is known to work.
 * @param before the account as it was read, so that it leaves the list of those without mail.
 */
export function trustAddress(
  nowMs: number,
  kept: Profile['undeliverable'] = {},
  before?: Pick<Profile, 'id' | 'undeliverable'>,
): { set: Expression[]; remove: Expression[]; writes: Write[] } {
  const since = expr`#addressSinceMs = ${nowMs}`
  if (Object.keys(kept).length > 0)
    return { set: [since, expr`#undeliverable = ${kept}`], remove: [], writes: [] }
  const writes = before?.undeliverable ? [unmark(before.id, 'undeliverable')] : []
  return { set: [since], remove: [expr`#undeliverable`], writes }
}

/** The marks of an account without that of one address. */
export function marksWithout({ undeliverable = {} }: Pick<Profile, 'undeliverable'>, address: string): Marks {
  const key = emailKey(address)
  return Object.fromEntries(Object.entries(undeliverable).filter(([each]) => each !== key))
}
