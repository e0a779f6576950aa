import { type Account, admit, readAccount, requireActive } from '../account/account.ts'
import { emailKey, usernameKey } from '../account/fields.ts'
import { DomainError } from '../errors.ts'
import type { Deps, Tokens } from '../ports.ts'
import { attr, type Expression, expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'

/** Live sessions an account may have; a sign-in beyond them ends the oldest. */
const MAX_SESSIONS = 20

/** How long a refresh token lives at the vault: older sessions are dead and are dropped at the next sign-in. */
const SESSION_MS = 30 * 24 * 3_600_000

/** Stands in for an account that does not exist, so that an unknown name costs the same calls. */
const NOBODY = '000000000000000000000000'

/** Exactly one of the names is given. */
export interface Login {
  email?: string | undefined
  username?: string | undefined
  password: string
}

export interface SignedIn {
  accessToken: string
  refreshToken: string
  /** Seconds. */
  expiresIn: number
}

/**
 * Signs in by e-mail address or username. The session is listed in the account before its tokens are released,
 * in a write that a password change in between refuses.
 * @throws DomainError `invalid_credentials`; `account_deactivated` or `account_suspended` for a right password.
 */
export async function login(deps: Deps<'table' | 'identity'>, input: Login): Promise<SignedIn> {
  const guard =
    input.email === undefined
      ? keys.usernameGuard(usernameKey(input.username ?? ''))
      : keys.emailGuard(emailKey(input.email))
  const owner = await deps.table.get(guard)
  const accountId = owner ? String(owner.accountId) : NOBODY
  const account = await readAccount(deps, accountId)
  const tokens = await deps.identity.signIn(accountId, input.password)
  if (!tokens || !account || account.status === 'pending') throw new DomainError('invalid_credentials')
  try {
    requireActive(account)
    await listSession(deps, account, tokens.sessionId)
  } catch (error) {
    await deps.identity.revoke(tokens.refreshToken)
    throw error
  }
  return released(tokens)
}

async function listSession(deps: Deps<'table'>, account: Account, sessionId: string): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const stale = staleSessions(account.sessions, nowMs).map((id) => expr`#sessions.${attr(id)}`)
  const add = expr`SET #sessions.${attr(sessionId)} = ${nowMs}, #lastLoginAtMs = ${nowMs}`
  const set: Expression = stale.length > 0 ? join([add, join(stale, ', ')], ' REMOVE ') : add
  try {
    await deps.table.update(
      keys.profile(account.id),
      set,
      expr`#status = ${'active'} AND #generation = ${account.generation}`,
    )
  } catch (error) {
    if (error instanceof ConditionFailed) throw new DomainError('invalid_credentials')
    throw error
  }
}

/** The sessions to drop when one more signs in: the expired ones, then the oldest beyond the limit. */
export function staleSessions(sessions: Record<string, number>, nowMs: number): string[] {
  const newestFirst = Object.entries(sessions).sort(([, a], [, b]) => b - a)
  return newestFirst
    .filter(([, sinceMs], at) => at >= MAX_SESSIONS - 1 || nowMs - sinceMs >= SESSION_MS)
    .map(([id]) => id)
}

/**
 * A new access token for a live session; the refresh token stays the same.
 * @throws DomainError `session_ended`, `account_deactivated`, `account_suspended`
 */
export async function refresh(deps: Deps<'table' | 'identity'>, refreshToken: string): Promise<SignedIn> {
  const tokens = await deps.identity.refresh(refreshToken)
  if (!tokens) throw new DomainError('session_ended')
  const expiresAtSec = deps.clock.nowMs() / 1000 + tokens.expiresInSeconds
  await admit(deps, { accountId: tokens.accountId, sessionId: tokens.sessionId, expiresAtSec })
  return released(tokens)
}

const released = ({ accessToken, refreshToken, expiresInSeconds }: Tokens): SignedIn => ({
  accessToken,
  refreshToken,
  expiresIn: expiresInSeconds,
})

/** Ends one session: its access tokens fail at the gate and its refresh token at `refresh` from now on. */
export async function logout(deps: Deps<'table'>, account: Account, sessionId: string): Promise<void> {
  await deps.table.update(keys.profile(account.id), expr`REMOVE #sessions.${attr(sessionId)}`)
}

/** Ends every session of the account, here and at the vault. */
export async function logoutEverywhere(deps: Deps<'table' | 'identity'>, account: Account): Promise<void> {
  await deps.table.update(keys.profile(account.id), expr`SET #sessions = ${{}}`)
  await deps.identity.endSessions(account.id)
}
