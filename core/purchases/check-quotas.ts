import { type Account, readAccount } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import { newNotice } from '../notifications/notices.ts'
import { queueMail } from '../notifications/outbox.ts'
import type { Deps } from '../ports.ts'
import { applyLedger } from '../quota/apply-ledger.ts'
import type { Quota } from '../quota/quota.ts'
import { eachDue, type Run } from '../table/due.ts'
import { type Expression, expr, join, setRemove } from '../table/expression.ts'
import { keys, shownKey } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'
import { advancePurchase, settleAbandonedPurchase } from './advance.ts'
import { beginPurchase, defaultCardOf } from './begin.ts'
import { bundleOf } from './catalogue.ts'
import { isOpen, readPurchase } from './purchase.ts'
import { type Decision, decideRenewal } from './renewal.ts'
import type { PurchaseDeps } from './transaction.ts'

/** What a run did. `failed`: they stay due. */
export interface Checked {
  notices: number
  renewed: number
  /** Renewals that were tried and not credited at once: declined, to be authenticated, or not known yet. */
  tried: number
  failed: number
}

/**
 * Looks at every counter that fell below a threshold, and at no other: gives the low-quota notice, renews the bundle,
 * or notes when to look again. Safe to run twice at once.
 */
export async function checkQuotas(deps: PurchaseDeps, run: Run): Promise<Checked> {
  const checked = { notices: 0, renewed: 0, tried: 0 }
  const checkOne = async (accountId: string): Promise<void> => {
    const account = await upToDate(deps, accountId)
    const { quota } = account
    if (await sendLowQuotaNotice(deps, account, quota)) checked.notices++
    const { outcome, againMs } = await renewBundle(deps, account, quota)
    if (outcome) checked[outcome]++
    await clearWork(deps, accountId, quota, againMs)
  }
  const { failed } = await eachDue(deps, 'QUOTA', run, async (key) => {
    try {
      await checkOne(key.pk.slice(keys.account('').length))
      return true
    } catch (error) {
      // Behind the others, so that it does not keep them from being found.
      const later = expr`SET #dueAtMs = ${deps.clock.nowMs() + MINUTE_MS}`
      await deps.table.update(key, later, expr`attribute_exists(#due)`).catch((refusal: unknown) => {
        deps.log.warn('a counter that failed is not put behind the others', refusal, { item: shownKey(key) })
      })
      throw error
    }
  })
  return { ...checked, failed }
}

type WithQuota = Account & { quota: Quota }

/** The account with a counter that has all of its ledger: a credit that is on its way is no reason to renew. */
async function upToDate(deps: Deps<'table'>, accountId: string): Promise<WithQuota> {
  const account = await readAccount(deps, accountId)
  if (account?.quota?.seq !== account?.ledgerSeq) {
    await applyLedger(deps, accountId)
    return upToDate(deps, accountId)
  }
  if (!account?.quota) throw new Error('a counter has no account')
  return { ...account, quota: account.quota }
}

/** Once a crossing: its moment is the notice's id, so that a second run finds it there. */
async function sendLowQuotaNotice(
  deps: Deps<'table'>,
  account: Account,
  { noticeSinceMs }: Quota,
): Promise<boolean> {
  const { id: accountId, bundle, flags, email, username } = account
  if (noticeSinceMs === undefined || bundle === undefined || !flags.lowQuotaNotification) return false
  const text = `Less than 10 % of your ${bundle} bundle is left.`
  const id = `${noticeSinceMs.toString(16).padStart(12, '0')}${'0'.repeat(12)}`
  const notice = { ...newNotice(deps, accountId, 'low_quota', text), ...keys.notice(accountId, id), id }
  const { write } = queueMail(
    deps,
    { accountId, to: email, template: 'low-quota', values: { username, bundle } },
    0,
  )
  return deps.table.transact([{ put: notice, if: expr`attribute_not_exists(pk)` }, write]).then(
    () => true,
    (error) => {
      ignoreRefusal(error)
      return false
    },
  )
}

/** @returns when to look again, epoch ms; undefined when something else will call. */
async function renewBundle(
  deps: PurchaseDeps,
  account: WithQuota,
  quota: Quota,
): Promise<{ outcome?: 'renewed' | 'tried'; againMs?: number | undefined }> {
  const nowMs = deps.clock.nowMs()
  const decision = decideRenewal(account, quota, nowMs)
  switch (decision.act) {
    case 'rest':
      return {}
    case 'wait':
      return { againMs: decision.untilMs }
    case 'note':
      await noteRenewal(deps, account, decision)
      return { againMs: decision.renewal.nextAttemptAtMs }
    case 'open':
      await abandonOtherRenewal(deps, account)
      return { againMs: nowMs + MINUTE_MS }
    case 'renew': {
      const order = { ...defaultCardOf(account), accountId: account.id, kind: 'renewal' as const }
      const bundle = bundleOf(decision.bundle)
      const purchase = await beginPurchase(deps, account, { ...order, bundle, cycle: quota.seq }).catch(
        noCard,
      )
      if (purchase === 'no card') {
        await noteRenewal(deps, account, paused(order.cardId, 'no_card'))
        return {}
      }
      if (!purchase) return { againMs: nowMs + MINUTE_MS }
      const { status } = await advancePurchase(deps, purchase)
      return { outcome: status === 'credited' ? 'renewed' : 'tried', againMs: nowMs + MINUTE_MS }
    }
  }
}

/** The default card is not on file: another one calls again. */
function noCard(error: unknown): 'no card' {
  if (error instanceof DomainError && error.code === 'no_card') return 'no card'
  throw error
}

const paused = (cardId: string, reason: string) =>
  ({ act: 'note', renewal: { state: 'paused', reason, cardId, failures: 0 } }) as const

/** A renewal that waits for its customer is given up when the card is another one by now. */
async function abandonOtherRenewal(
  deps: PurchaseDeps,
  { id, openPurchase, customer }: Account,
): Promise<void> {
  const open = openPurchase === undefined ? undefined : await readPurchase(deps, id, openPurchase)
  if (!open || !isOpen(open) || open.kind !== 'renewal' || open.state !== 'action_required') return
  if (open.cardId !== customer?.defaultCardId) await settleAbandonedPurchase(deps, open, true)
}

async function noteRenewal(
  deps: Deps<'table'>,
  account: Account,
  { renewal }: Extract<Decision, { act: 'note' }>,
): Promise<void> {
  await deps.table
    .update(
      keys.profile(account.id),
      expr`SET #renewal = ${renewal}`,
      expr`#ledgerSeq = ${account.ledgerSeq} AND attribute_not_exists(#openPurchase)`,
    )
    .catch(ignoreRefusal)
}

/** Clears what was seen to, unless a new call has come meanwhile. */
async function clearWork(
  deps: Deps<'table'>,
  accountId: string,
  quota: Quota,
  againMs: number | undefined,
): Promise<void> {
  const { noticeSinceMs, renewalCall } = quota
  const waits = againMs !== undefined
  const set = waits ? [expr`#dueAtMs = ${againMs}`] : []
  const remove = [expr`#n`, ...(waits ? [] : [expr`#r, #due, #dueAtMs`])]
  const same: Expression[] = [
    noticeSinceMs === undefined ? expr`attribute_not_exists(#n)` : expr`#n = ${noticeSinceMs}`,
    renewalCall === 0 ? expr`attribute_not_exists(#r)` : expr`#r = ${renewalCall}`,
    // Who crosses a threshold calls with 1, once in the time of a ledger entry.
    expr`#s = ${quota.seq}`,
    expr`attribute_exists(#due)`,
  ]
  try {
    await deps.table.update(keys.quota(accountId), setRemove(set, remove), join(same, ' AND '))
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
  }
}
