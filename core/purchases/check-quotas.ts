import * as z from 'zod/mini'
import { type Account, readAccount, renewsItself } from '../account/account.ts'
import { listLow } from '../account/listed.ts'
import { AUTHENTICATION_POLL_MS } from '../cards/authentication.ts'
import { readStoredCard } from '../cards/sync.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { newNotice } from '../notifications/notices.ts'
import { queueMail } from '../notifications/outbox.ts'
import { tellAlert } from '../notifications/tell-alerts.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { clearCrossed } from '../quota/alerts.ts'
import { applyLedger } from '../quota/apply-ledger.ts'
import { handOverAlerts } from '../quota/crossed-alerts.ts'
import type { Quota } from '../quota/quota.ts'
import { DEFAULT_LOW_PERCENT, isLowQuota } from '../quota/thresholds.ts'
import { eachDue, type Run } from '../table/due.ts'
import { type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { accountIdIn, keys, shownKey } from '../table/keys.ts'
import { isLeased } from '../table/lease.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { writeAll, writeUnlessDone } from '../table/write-all.ts'
import { MINUTE_MS } from '../time.ts'
import { advancePurchase, settleAbandonedPurchase } from './advance.ts'
import { beginPurchase, defaultCardOf } from './begin.ts'
import { hasLostPurchases } from './lost-purchase.ts'
import { begunAtMs, isOpen, readPurchase } from './purchase.ts'
import { decideRenewal, renewalObstacle, renewalUnchanged, renewsRemovedBundle } from './renewal.ts'
import { renewedInMonth } from './renewal-limits.ts'
import { changeRenewal, type Renewal } from './renewal-state.ts'
import { retryWaitMs } from './resume.ts'

/** What a run did. */
export interface Checked {
  notices: number
  renewed: number
  /** Renewals not credited at once: declined, waiting for 3-D Secure, or with an unknown outcome. */
  tried: number
  /** Counters whose check failed; they stay due. */
  failed: number
}

/**
 * Checks only the counters that are due: sends the low-quota notice, renews the bundle, or schedules the next
 * check. Two runs at once are safe.
 */
export async function checkQuotas(deps: MoneyDeps, run: Run): Promise<Checked> {
  const checked = { notices: 0, renewed: 0, tried: 0 }
  const { failed } = await eachDue(deps, 'QUOTA', run, async (key) => {
    const { notices, outcome } = await checkOrPostpone(deps, accountIdIn(key), run)
    checked.notices += notices
    if (outcome) checked[outcome]++
    return true
  })
  return { ...checked, failed }
}

/** The event with which `Renewals.start` starts a check. */
const startSchema = z.object({ accountId: z.string() })

/**
 * Checks one counter at once, whether or not it is due. A failure is logged and not thrown, because the counter
 * stays due and `checkQuotas` checks it again.
 * @throws Error if the event does not name an account
 */
export async function checkQuota(deps: MoneyDeps, event: unknown): Promise<Checked> {
  const { accountId } = z.parse(startSchema, event)
  const checked = { notices: 0, renewed: 0, tried: 0, failed: 0 }
  try {
    const { notices, outcome } = await checkOrPostpone(deps, accountId, {})
    return { ...checked, notices, ...(outcome && { [outcome]: 1 }) }
  } catch (error) {
    deps.log.warn('a counter was not checked at once; check-quotas checks it again', error, { accountId })
    return { ...checked, failed: 1 }
  }
}

/** Checks a counter. If that fails, it is due later, so that it never hides other counters that are due. */
async function checkOrPostpone(deps: MoneyDeps, accountId: string, run: Pick<Run, 'ready'>) {
  try {
    return await checkCounter(deps, accountId, run)
  } catch (error) {
    const key = keys.quota(accountId)
    const later = expr`SET #dueAtMs = ${deps.clock.nowMs() + MINUTE_MS}`
    // A counter that another run has checked meanwhile is not due any more.
    await deps.table
      .update(key, later, expr`attribute_exists(#due)`)
      .catch(ignoreRefusal)
      .catch((failure: unknown) => {
        deps.log.warn(
          'a counter whose check failed could not be postponed; it stays due and is checked again',
          failure,
          { item: shownKey(key) },
        )
      })
    throw error
  }
}

async function checkCounter(
  deps: MoneyDeps,
  accountId: string,
  run: Pick<Run, 'ready'>,
): Promise<{ notices: number; outcome: 'renewed' | 'tried' | undefined }> {
  const account = await forgetOldCard(deps, await readUpToDate(deps, accountId))
  const { quota } = account
  if (quota.noticeSinceMs !== undefined && isLowQuota(quota.left, quota)) await listLow(deps, accountId, true)
  const isNotified = await sendLowQuotaNotice(deps, account, quota)
  await announceExhausted(deps, accountId, quota)
  const told = await tellCrossedAlerts(deps, accountId, quota)
  const { outcome, againMs } = await renewBundle(deps, account, quota, run)
  await clearWork(deps, accountId, quota, againMs)
  return { notices: told + (isNotified ? 1 : 0), outcome }
}

type WithQuota = Account & { quota: Quota }

/**
 * Reads the account after its counter has caught up with its ledger, so that no bundle is renewed while a
 * credit is still missing in the counter.
 */
async function readUpToDate(deps: Deps<'table'>, accountId: string): Promise<WithQuota> {
  const account = await readAccount(deps, accountId)
  if (account?.quota?.seq !== account?.ledgerSeq) {
    await applyLedger(deps, accountId)
    return readUpToDate(deps, accountId)
  }
  if (!account?.quota) throw new Error('a counter has no account')
  return { ...account, quota: account.quota }
}

/**
 * Forgets what kept the bundle from renewing with a card that is no longer the default card. Whoever changed
 * the default card has woken this check; its owner gets a message that renewal is on again.
 */
async function forgetOldCard(deps: Deps<'table'>, account: WithQuota): Promise<WithQuota> {
  const { renewal, openPurchase } = account
  const isOld = renewal !== undefined && renewalObstacle(account) === undefined
  if (!isOld || openPurchase !== undefined) return account
  return (await noteRenewal(deps, account, undefined)) ? { ...account, renewal: undefined } : account
}

/**
 * Announces at most once per crossing that few units are left, and sends a notice and a mail unless the owner wants none:
 * the ids of event and notice are derived from the time of the crossing, so that a second run finds them.
 * @returns whether this run sent the notice.
 */
async function sendLowQuotaNotice(deps: Deps<'table'>, account: Account, quota: Quota): Promise<boolean> {
  const { noticeSinceMs, left, size } = quota
  const { id: accountId, bundle, flags } = account
  if (noticeSinceMs === undefined || bundle === undefined) return false
  const once = { atMs: noticeSinceMs, name: String(noticeSinceMs) }
  const event = announce(deps, accountId, 'quota.low', { left, bundleUnits: size }, once)
  const messages = flags.lowQuotaNotification
    ? lowQuotaMessages(deps, account, { ...quota, noticeSinceMs, bundle })
    : []
  return writeAll(deps, [event, ...messages]).then(
    () => messages.length > 0,
    (error) => {
      ignoreRefusal(error)
      return false
    },
  )
}

function lowQuotaMessages(
  deps: Deps<'table'>,
  account: Account,
  quota: Quota & { noticeSinceMs: number; bundle: string },
): Write[] {
  const { id: accountId, email, username } = account
  const { noticeSinceMs, bundle, left, lowPercent = DEFAULT_LOW_PERCENT } = quota
  const since = isLowQuota(left, quota) ? (renewsRemovedBundle(account) ? 'removed' : undefined) : 'refilled'
  const text =
    since === 'refilled'
      ? `Your units had fallen below ${lowPercent} % of your bundle. More have been added since.`
      : `Less than ${lowPercent} % of your ${bundle} bundle is left.`
  // A mail that announces a charge says what renewals have charged and how to stop them.
  const announces = since === undefined && renewsItself(account)
  const renewed = announces ? { renewed: renewedInMonth(account.renewed, deps.clock.nowMs()) } : {}
  const id = `${noticeSinceMs.toString(16).padStart(12, '0')}${'0'.repeat(12)}`
  const notice = { ...newNotice(deps, accountId, 'low_quota', text), ...keys.notice(accountId, id), id }
  const values = { username, bundle, since, lowPercent, ...renewed } as const
  const { write } = queueMail(deps, { accountId, to: email, template: 'low-quota', values }, 0)
  return [{ put: notice, if: expr`attribute_not_exists(pk)` }, write]
}

/** Announces once that a request was refused for want of units. */
async function announceExhausted(
  deps: Deps<'table'>,
  accountId: string,
  { exhaustedSinceMs, left }: Quota,
): Promise<void> {
  if (exhaustedSinceMs === undefined) return
  const once = { atMs: exhaustedSinceMs, name: String(exhaustedSinceMs) }
  await writeUnlessDone(deps, [announce(deps, accountId, 'quota.exhausted', { left }, once)])
}

/**
 * Hands over the alerts that are crossed, and writes their notices and mails at once. The job tell-alerts does what
 * fails here, so that it does not keep the bundle from renewing.
 * @returns how many this run has told.
 */
async function tellCrossedAlerts(deps: Deps<'table'>, accountId: string, quota: Quota): Promise<number> {
  let told = 0
  for (const key of await handOverAlerts(deps, accountId, quota))
    try {
      if ((await tellAlert(deps, key))?.isNew) told++
    } catch (error) {
      deps.log.warn('an alert was not told at once; tell-alerts tells it', error, { accountId })
    }
  return told
}

/**
 * Renews the bundle, or stores why the bundle cannot be renewed.
 * @returns `outcome`, if a purchase was begun; `againMs`, when to check again (epoch ms), unless the next
 *   change wakes the check anyway.
 */
async function renewBundle(
  deps: MoneyDeps,
  account: WithQuota,
  quota: Quota,
  run: Pick<Run, 'ready'>,
): Promise<{ outcome?: 'renewed' | 'tried'; againMs?: number | undefined }> {
  const nowMs = deps.clock.nowMs()
  const decision = decideRenewal(account, quota, nowMs)
  switch (decision.act) {
    case 'rest':
      return {}
    case 'wait':
      return { againMs: decision.untilMs }
    case 'note': {
      const isNoted = await noteRenewal(deps, account, decision.renewal)
      const nextMs = decision.renewal.nextAttemptAtMs ?? decision.untilMs
      return { againMs: isNoted ? nextMs : nowMs + MINUTE_MS }
    }
    case 'open':
      await abandonRenewalOfOldCard(deps, account)
      return { againMs: nowMs + openWaitMs(account, nowMs) }
    case 'renew': {
      if (await hasLostPurchases(deps)) return { againMs: nowMs + MINUTE_MS }
      if (run.ready && !(await run.ready())) return { againMs: nowMs }
      const order = { ...defaultCardOf(account), accountId: account.id, kind: 'renewal' as const }
      const purchase = await beginPurchase(deps, account, {
        ...order,
        bundle: decision.bundle,
        cycle: quota.seq,
      }).catch((error: unknown) => refusedRenewal(deps, account.id, order.cardId, error))
      if (purchase && 'reason' in purchase) {
        const isNoted = await noteRenewal(deps, account, purchase)
        return { againMs: isNoted ? purchase.nextAttemptAtMs : nowMs + MINUTE_MS }
      }
      if (!purchase) return { againMs: nowMs + MINUTE_MS }
      const { status } = await advancePurchase(deps, purchase, 'job')
      return { outcome: status === 'credited' ? 'renewed' : 'tried', againMs: nowMs + MINUTE_MS }
    }
  }
}

/**
 * How long the check waits for an open purchase. What the end of the purchase changes wakes the check, but an
 * abandoned one changes nothing.
 */
const openWaitMs = ({ openPurchase = '' }: Account, nowMs: number): number =>
  Math.min(retryWaitMs({ createdAtMs: begunAtMs(openPurchase) }, nowMs), AUTHENTICATION_POLL_MS)

/**
 * Why a renewal could not even begin: the default card is not on file, or the bank must not be asked about it
 * now or ever. Setting another default card wakes the renewal.
 */
async function refusedRenewal(
  deps: Deps<'table'>,
  accountId: string,
  cardId: string,
  error: unknown,
): Promise<Renewal> {
  if (!(error instanceof DomainError)) throw error
  const failures = 0
  switch (error.code) {
    case 'no_card':
      return { state: 'paused', reason: 'no_card', cardId, failures }
    case 'card_declined': {
      const reason = (await readStoredCard(deps, accountId, cardId))?.reason ?? 'declined'
      return { state: 'paused', reason, cardId, failures }
    }
    case 'too_many_cards_tried': {
      const nextAttemptAtMs = deps.clock.nowMs() + (error.retryAfterSeconds ?? 0) * 1000
      return { state: 'retrying', reason: 'too_many_declines', cardId, failures, nextAttemptAtMs }
    }
    default:
      throw error
  }
}

/** Abandons a renewal that waits for its customer or for the provider if the default card has changed since. */
async function abandonRenewalOfOldCard(
  deps: MoneyDeps,
  { id, openPurchase, customer }: Account,
): Promise<void> {
  const open = openPurchase === undefined ? undefined : await readPurchase(deps, id, openPurchase)
  if (!open || !isOpen(open) || open.kind !== 'renewal') return
  if (open.state !== 'action_required' && isLeased(deps, open)) return
  if (open.cardId !== customer?.defaultCardId) await settleAbandonedPurchase(deps, open, true)
}

/**
 * Stores what keeps the bundle from renewing, with its messages, if everything still is as the decision read
 * it.
 * @param renewal undefined if nothing does any more.
 * @returns whether it was stored.
 */
async function noteRenewal(
  deps: Deps<'table'>,
  account: Account,
  renewal: Renewal | undefined,
): Promise<boolean> {
  const change = changeRenewal(deps, account, { renewal })
  const unchanged = [
    expr`#ledgerSeq = ${account.ledgerSeq} AND attribute_not_exists(#openPurchase)`,
    renewalUnchanged(account),
  ]
  return deps.table
    .transact([
      {
        update: keys.profile(account.id),
        set: setRemove(change.set, change.remove),
        if: join(unchanged, ' AND '),
      },
      { check: keys.customer(account.id), if: sameDefaultCard(account.customer?.defaultCardId) },
      ...change.messages,
    ])
    .then(
      () => true,
      (error) => {
        ignoreRefusal(error)
        return false
      },
    )
}

const sameDefaultCard = (cardId: string | undefined): Expression =>
  cardId === undefined ? expr`attribute_not_exists(#defaultCardId)` : expr`#defaultCardId = ${cardId}`

/** Clears the work that is done, unless a new wake-up has arrived meanwhile. */
async function clearWork(
  deps: Deps<'table'>,
  accountId: string,
  quota: Quota,
  againMs: number | undefined,
): Promise<void> {
  const { noticeSinceMs, exhaustedSinceMs, renewalCall, alerts } = quota
  const cleared = clearCrossed(alerts)
  const waits = againMs !== undefined
  const set = [
    ...(waits ? [expr`#dueAtMs = ${againMs}`] : []),
    ...(cleared === alerts ? [] : [expr`#i = ${cleared}`]),
  ]
  const remove = [expr`#n, #nx`, ...(waits ? [] : [expr`#r, #due, #dueAtMs`])]
  const same: Expression[] = [
    unchangedSince({ n: noticeSinceMs, nx: exhaustedSinceMs }, ['n', 'nx']),
    renewalCall === 0 ? expr`attribute_not_exists(#r)` : expr`#r = ${renewalCall}`,
    unchangedSince({ i: alerts }, ['i']),
    // `r` alone may recur, because a crossing only adds 1 to it, but not without a new ledger entry.
    expr`#s = ${quota.seq}`,
    expr`attribute_exists(#due)`,
  ]
  try {
    await deps.table.update(keys.quota(accountId), setRemove(set, remove), join(same, ' AND '))
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
  }
}
