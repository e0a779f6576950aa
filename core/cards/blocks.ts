import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { announceRevoked } from '../events/outbox.ts'
import type { Deps } from '../ports.ts'
import { msKey } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { writeAll } from '../table/write-all.ts'
import {
  BLOCKED_CARDS,
  type Fingerprint,
  fingerprintDigest,
  fingerprintWrite,
  readFingerprint,
} from './fingerprint.ts'
import { writeReport } from './report-fraud.ts'
import { readStoredCard } from './sync.ts'

/** The digest of a list is longer than any fingerprint of Stripe. */
const DIGEST = /^[\w-]{24}$/

/**
 * The number that an operator names: by Stripe's fingerprint, by an account and its card (`<account>/<pm_…>`), or by the
 * digest that a list shows.
 * @throws DomainError `not_found` for a card that the account does not have
 */
async function namedNumber(
  deps: Deps<'table'>,
  named: string,
): Promise<{ digest: string; accountId: string | undefined }> {
  const [accountId = '', cardId] = named.split('/')
  if (cardId === undefined)
    return { digest: DIGEST.test(named) ? named : fingerprintDigest(named), accountId: undefined }
  const stored = await readStoredCard(deps, accountId, cardId)
  if (stored?.card?.fingerprint === undefined) throw new DomainError('not_found')
  return { digest: fingerprintDigest(stored.card.fingerprint), accountId }
}

/**
 * Blocks the number of a card for every account until an operator unblocks it. One that an operator has blocked stays
 * as it is.
 * @throws DomainError `not_found`, `conflict`
 */
export async function blockCard(deps: Deps<'table'>, named: string, reason: string): Promise<Fingerprint> {
  const { digest, accountId } = await namedNumber(deps, named)
  return retryRaces(deps, async () => {
    const before = await readFingerprint(deps, digest)
    if (before.orderedAtMs !== undefined) return before
    const nowMs = deps.clock.nowMs()
    const audited = { accountId, reason, after: { card: digest } }
    await writeAll(deps, [
      fingerprintWrite(before, { ...before, orderedAtMs: nowMs }, nowMs),
      announceRevoked(deps, 'card', digest),
      ...auditWrites(deps, { action: 'operator.card_blocked', ...audited }),
    ])
    return readFingerprint(deps, digest)
  })
}

/**
 * Lets a card buy again, for every account: withdraws the reports of fraud for good, an operator's own order, and what
 * keeps others from paying because an account owes. That account still owes. First the reports are marked as withdrawn,
 * then each account follows, and last the number is free, so that a repeat resumes what ended early.
 * @throws DomainError `not_found`, `conflict`; `temporarily_unavailable` while Stripe is down
 */
export async function unblockCard(
  deps: Deps<'table' | 'payments'>,
  named: string,
  reason: string,
): Promise<Fingerprint> {
  const { digest, accountId } = await namedNumber(deps, named)
  return retryRaces(deps, async () => {
    const before = await readFingerprint(deps, digest)
    const reports = Object.entries(before.reports ?? {})
    if (before.blockedAtMs === undefined && before.debtors === undefined) return before
    const nowMs = deps.clock.nowMs()
    const withdrawn = [...new Set([...(before.withdrawn ?? []), ...reports.map(([charge]) => charge)])]
    const marked = { ...before, withdrawn }
    await writeAll(deps, [fingerprintWrite(before, marked, nowMs)])
    for (const [chargeId, { accountId: reported }] of reports) {
      const charge = await deps.payments.readCharge(chargeId)
      if (charge) await writeReport(deps, reported, charge, { chargeId, reason: undefined })
    }
    const { reports: _, orderedAtMs, debtors, blockedAtMs, ...free } = marked
    const audited = { accountId, reason, before: { card: digest } }
    await writeAll(deps, [
      fingerprintWrite({ ...before, version: before.version + 1 }, free, nowMs),
      ...auditWrites(deps, { action: 'operator.card_unblocked', ...audited }),
    ])
    return readFingerprint(deps, digest)
  })
}

/** A page of the list. */
const PAGE = 50

/**
 * The cards that are blocked, the newest first.
 * @param cursor `next` of the page before
 */
export async function listBlockedCards(
  deps: Deps<'table' | 'listing'>,
  cursor?: string,
): Promise<{ cards: Fingerprint[]; next: string | undefined }> {
  // A list takes both of its ends, so the last entry of the page before comes once more.
  const found = await deps.listing.listed(BLOCKED_CARDS, [msKey(0), cursor ?? '~'], PAGE + 2)
  const entries = found.filter(({ id }) => id !== cursor)
  const page = entries.slice(0, PAGE)
  const digests = page.map(({ id }) => id.slice(id.indexOf('-') + 1))
  const cards = await Promise.all(digests.map((digest) => readFingerprint(deps, digest)))
  return {
    cards: cards.filter(({ blockedAtMs }) => blockedAtMs !== undefined),
    next: entries.length > PAGE ? page.at(-1)?.id : undefined,
  }
}
