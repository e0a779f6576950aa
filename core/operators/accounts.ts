import * as z from 'zod/mini'
import { parseProfile, type SessionCaller } from '../account/account.ts'
import { emailKey, usernameKey } from '../account/fields.ts'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { announceRevoked } from '../events/outbox.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { type Key, keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { HOUR_MS } from '../time.ts'
import { mayAct, type Operator, ROLES, type Role } from './operator.ts'
import { OPERATORS, operatorNameKey } from './operator-name.ts'

/*
 * Operators by account: for the console, which people use with the session of an account.
 *
 * - An operator has an item by the account's id, which every request of theirs reads, and one by their name in the audit
 *   log, which is the username that they had when they were added.
 * - Removing keeps both with the time. So a name in the audit log is that of one account for good, and a request is
 *   refused from then on.
 */

const operatorAccountKey = (accountId: string): Key => ({ pk: OPERATORS, sk: `ACCOUNT#${accountId}` })

const operatorSchema = z.object({
  accountId: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  addedAtMs: z.number(),
  removedAtMs: z.optional(z.number()),
})

/** An account that is or was an operator. Times are epoch ms. */
export type OperatorAccount = z.infer<typeof operatorSchema>

/** How long after its sign-in a session may act as an operator. */
const SESSION_LIFE_MS = 8 * HOUR_MS

/** All operators by account, those that were removed too. */
export async function listOperators(deps: Deps<'table'>): Promise<OperatorAccount[]> {
  const items = await deps.table.list(OPERATORS, 'ACCOUNT#')
  return items.map((item) => z.parse(operatorSchema, item))
}

/**
 * Makes an account an operator, or gives an operator another role. Where the account has that role, nothing changes.
 * @param named the account: its id, its username or its e-mail address
 * @throws DomainError `not_found` for an unknown account, and for one that is not active or whose address nobody has
 *   confirmed: it could still move to the address of somebody else; `operator_exists` if another
 *   account or an admin key has had the name
 */
export async function addOperator(
  deps: Deps<'table'>,
  { account: named, role, reason }: { account: string; role: Role; reason: string },
): Promise<OperatorAccount> {
  const accountId = await accountIdOf(deps, named)
  const [profile, stored] = await Promise.all([
    accountId === undefined ? undefined : deps.table.get(keys.profile(accountId)),
    accountId === undefined ? undefined : readOperator(deps, accountId),
  ])
  if (!profile) throw unknownAccount()
  const { id, status, emailVerified, username } = parseProfile(profile)
  if (status !== 'active' || !emailVerified) throw unknownAccount()
  if (stored && stored.removedAtMs === undefined && stored.role === role) return stored
  const name = stored?.name ?? usernameKey(username)
  const operator = { accountId: id, name, role, addedAtMs: deps.clock.nowMs() }
  const isUnchanged = stored
    ? expr`#addedAtMs = ${stored.addedAtMs} AND #role = ${stored.role}`
    : expr`attribute_not_exists(pk)`
  try {
    await deps.table.transact([
      { put: { ...operatorAccountKey(id), ...operator }, if: isUnchanged },
      {
        put: { ...operatorNameKey(name), accountId: id },
        if: expr`attribute_not_exists(pk) OR #accountId = ${id}`,
      },
      { check: keys.profile(id), if: expr`#status = ${'active'} AND #emailVerified = ${true}` },
      // Another role may be a lower one. A restored backup then removes the operator, who is added again.
      ...(stored && stored.removedAtMs === undefined ? [announceRevoked(deps, 'operator', id)] : []),
      ...auditWrites(deps, {
        action: 'operator.added',
        accountId: id,
        reason,
        before: { role: stored && stored.removedAtMs === undefined ? stored.role : 'none' },
        after: { role },
      }),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    throw new DomainError('operator_exists')
  }
  return operator
}

/**
 * Makes an account no operator any more, from its next request on. One that was removed before is returned as it is.
 * @throws DomainError `not_found` for a name that no operator has had
 */
export async function removeOperator(
  deps: Deps<'table'>,
  name: string,
  reason: string,
): Promise<OperatorAccount> {
  const named = await deps.table.get(operatorNameKey(usernameKey(name)))
  const operator =
    named?.accountId === undefined ? undefined : await readOperator(deps, String(named.accountId))
  if (!operator) throw new DomainError('not_found', { detail: 'There is no operator of this name.' })
  if (operator.removedAtMs !== undefined) return operator
  const removedAtMs = deps.clock.nowMs()
  const { accountId, role } = operator
  try {
    await deps.table.transact([
      {
        update: operatorAccountKey(accountId),
        set: expr`SET #removedAtMs = ${removedAtMs}`,
        if: expr`#role = ${role} AND attribute_not_exists(#removedAtMs)`,
      },
      announceRevoked(deps, 'operator', accountId),
      ...auditWrites(deps, {
        action: 'operator.removed',
        accountId,
        reason,
        before: { role },
        after: { role: 'none' },
      }),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    // Another request has removed the operator, or given them another role.
    return removeOperator(deps, name, reason)
  }
  return { ...operator, removedAtMs }
}

/**
 * The operator whose account has sent a request, which the account gate has admitted. One read.
 * @throws DomainError `operator_refused` for an account that is no operator, or of a lower role;
 *   `operator_sign_in_required` for a session that has not proved a second factor or a passkey, or is too old
 */
export async function operatorByAccount(
  deps: Deps<'table'>,
  { account, sessionId }: SessionCaller,
  needed: Role,
): Promise<Operator> {
  const operator = await readOperator(deps, account.id)
  if (!operator || operator.removedAtMs !== undefined || !mayAct(operator.role, needed))
    throw new DomainError('operator_refused')
  const session = account.sessions[sessionId]
  const isFresh = deps.clock.nowMs() - (session?.sinceMs ?? 0) < SESSION_LIFE_MS
  const hasFactor = account.totp !== undefined || Object.keys(account.passkeys ?? {}).length > 0
  if (!isFresh || !hasFactor || session?.factor !== true) throw new DomainError('operator_sign_in_required')
  return { name: operator.name, role: operator.role }
}

async function readOperator(deps: Deps<'table'>, accountId: string): Promise<OperatorAccount | undefined> {
  const item = await deps.table.get(operatorAccountKey(accountId))
  return item && z.parse(operatorSchema, item)
}

const unknownAccount = () =>
  new DomainError('not_found', { detail: 'There is no active account of this name, address or id.' })

async function accountIdOf(deps: Deps<'table'>, named: string): Promise<string | undefined> {
  if (/^[0-9a-f]{24}$/.test(named)) return named
  const guard = named.includes('@')
    ? keys.emailGuard(emailKey(named))
    : keys.usernameGuard(usernameKey(named))
  const item = await deps.table.get(guard)
  return item === undefined ? undefined : String(item.accountId)
}
