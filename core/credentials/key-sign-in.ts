import { type Account, isNobodys, readAccount, requireActive } from '../account/account.ts'
import { changeAccount } from '../account/change.ts'
import { auditWrites } from '../audit/entry.ts'
import type { Deps, Tokens } from '../ports.ts'
import { freshKeyCaller, type KeyCaller, type SentKey, wrongKey } from '../quota/key-caller.ts'
import { keyHashAttribute } from '../quota/quota.ts'
import { attr, expr, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { SignedIn } from './sessions.ts'
import { verifiedAnswer } from './verified-sign-in.ts'

/** Live sessions that the keys of an account may have. One more ends the one that would end first. */
const MAX_KEY_SESSIONS = 20

/**
 * Signs in by an application key, as a command line does that has nothing else. The session only reads: the account
 * gate lets it in nowhere else. It has no refresh token, and ends with its access token, or at once when the key is
 * revoked, replaced or changed, or the account is no longer active.
 * @throws DomainError `unauthorized`, `key_expired`, `key_disabled`, `ip_not_allowed`, `account_deactivated`,
 *   `account_suspended`, `conflict`
 */
export async function signInByKey(
  deps: Deps<'table' | 'keyring' | 'identity'>,
  key: SentKey,
): Promise<Omit<SignedIn, 'refreshToken'>> {
  const caller = await freshKeyCaller(deps, key)
  const { accountId } = caller
  const account = await readAccount(deps, accountId)
  if (!account || isNobodys(account)) throw wrongKey()
  requireActive(account)
  const tokens = await deps.identity.signInVerified(accountId, (nonce) =>
    verifiedAnswer(deps, accountId, nonce),
  )
  if (!tokens) throw wrongKey()
  await changeAccount(deps, account, (now) => listKeySession(deps, now, caller, tokens))
  const { accessToken, expiresInSeconds } = tokens
  return { accessToken, expiresInSeconds }
}

/** Stores the session, if the key is as it was read. */
async function listKeySession(
  deps: Deps<'table'>,
  account: Account,
  { slot, stamp, key, expiresAtMs = Infinity }: KeyCaller & { stamp: Buffer },
  { sessionId, expiresInSeconds }: Tokens,
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const live = Object.entries(account.keySessions ?? {})
    .filter(([, { untilMs }]) => untilMs > nowMs)
    .sort(([, one], [, other]) => one.untilMs - other.untilMs)
  const untilMs = Math.min(nowMs + expiresInSeconds * 1000, expiresAtMs)
  const session = { slot, stamp: stamp.toString('base64url'), sinceMs: nowMs, untilMs }
  const keySessions = Object.fromEntries([...live.slice(1 - MAX_KEY_SESSIONS), [sessionId, session]])
  await deps.table.transact([
    {
      update: keys.profile(account.id),
      set: expr`SET #keySessions = ${keySessions}`,
      if: unchangedSince(account, ['status', 'keySessions']),
    },
    { check: keys.quota(account.id), if: expr`${attr(keyHashAttribute(slot))} = ${stamp}` },
    ...auditWrites(deps, {
      accountId: account.id,
      action: 'account.key-signed-in',
      by: 'key',
      after: { key: key.id },
    }),
  ])
}
