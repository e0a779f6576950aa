import { timingSafeEqual } from 'node:crypto'
import type { Account, SessionCaller } from '../account/account.ts'
import { changeSession } from '../account/change.ts'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { attr, expr, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { isSinceRestore, SESSION_MS } from './session-life.ts'
import { endSession } from './sessions.ts'

/** A live session as its owner sees it. */
export interface ListedSession {
  /** 32 hex digits. It names the session to its own account and opens nothing. */
  id: string
  /** When it signed in, epoch ms. */
  sinceMs: number
  /** When it signed in or last refreshed its token, epoch ms, to the hour. */
  seenMs: number
  /** Such as `Firefox on Windows`; undefined if unknown. */
  device: string | undefined
  /** Whether it is the session that asks. */
  isCurrent: boolean
}

/** The live sessions of the caller's account, the one seen last first. */
export function listSessions(deps: Deps<'keyring'>, { account, sessionId }: SessionCaller): ListedSession[] {
  const nowMs = deps.clock.nowMs()
  return Object.entries(account.sessions)
    .filter(([, session]) => nowMs < session.sinceMs + SESSION_MS && isSinceRestore(deps, session))
    .map(([id, { sinceMs, seenMs = sinceMs, device }]) => ({
      id: shownIds(deps, account, id)[0],
      sinceMs,
      seenMs,
      device,
      isCurrent: id === sessionId,
    }))
    .sort((a, b) => b.seenMs - a.seenMs || b.sinceMs - a.sinceMs)
}

/**
 * Ends one session of the caller's account, the caller's own or another. A session that has ended already is no
 * error. What a stranger in another session may have begun must not outlive it, so a change of the address that
 * waits for its code is dropped.
 * @param id as `listSessions` shows it.
 * @throws DomainError `not_found` for an id that never named a session of this account; `conflict`,
 *   `session_ended`
 */
export async function endListedSession(
  deps: Deps<'table' | 'keyring'>,
  caller: SessionCaller,
  id: string,
): Promise<void> {
  if (!isOfAccount(deps, caller.account, id)) throw new DomainError('not_found')
  await changeSession(deps, caller, async ({ account, sessionId }) => {
    const wanted = Object.keys(account.sessions).find((each) => shownIds(deps, account, each).includes(id))
    if (wanted === undefined) return
    if (wanted === sessionId) return endSession(deps, account, sessionId)
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: setRemove([], [expr`#sessions.${attr(wanted)}`, expr`#pendingEmail`, expr`#changeCode`]),
        if: expr`attribute_exists(#sessions.${attr(sessionId)})`,
      },
      ...auditWrites(deps, { accountId: account.id, action: 'account.signed-out' }),
    ])
  })
}

const HALF = 16

/**
 * A session's ids for its owner, that by the root secret in use first. The second half proves that the first one belongs to the account, also once the
 * session has ended, so that ending it can be repeated.
 */
function shownIds(deps: Deps<'keyring'>, account: Account, sessionId: string): [string, ...string[]] {
  const names = half(deps.keyring.macs('mac:session-name', account.id, sessionId))
  const [first, ...others] = names.map((name, at) => name + proofsOf(deps, account, name)[at])
  return [first ?? '', ...others]
}

const proofsOf = (deps: Deps<'keyring'>, { id }: Account, name: string): string[] =>
  half(deps.keyring.macs('mac:session-name-proof', id, name))

const half = (macs: readonly Buffer[]): string[] => macs.map((mac) => mac.toString('hex').slice(0, HALF))

function isOfAccount(deps: Deps<'keyring'>, account: Account, id: string): boolean {
  if (!/^[0-9a-f]{32}$/.test(id)) return false
  const given = Buffer.from(id.slice(HALF))
  return proofsOf(deps, account, id.slice(0, HALF)).some((proof) =>
    timingSafeEqual(Buffer.from(proof), given),
  )
}
