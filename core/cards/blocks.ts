import { auditWrites, type Facts } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
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

/** How an operator names the number of a card: by Stripe's fingerprint, by a card of an account, or as a list shows it. */
export interface NamedCard {
  digest?: string | undefined
  fingerprint?: string | undefined
  account?: string | undefined
  card?: string | undefined
}

/** @throws DomainError `invalid_request` unless the number is named in one way; `not_found` for an unknown card */
async function digestOfNamed(deps: Deps<'table'>, named: NamedCard): Promise<string> {
  const { digest, fingerprint, account, card } = named
  const ways = [digest, fingerprint, account ?? card].filter((way) => way !== undefined)
  if (ways.length !== 1 || (account === undefined) !== (card === undefined)) {
    const message = 'name the card by digest, by fingerprint, or by account and card'
    throw new DomainError('invalid_request', { fields: [{ field: 'fingerprint', message }] })
  }
  if (digest !== undefined) return digest
  if (fingerprint !== undefined) return fingerprintDigest(fingerprint)
  const stored = await readStoredCard(deps, account ?? '', card ?? '')
  if (stored?.card?.fingerprint === undefined) throw new DomainError('not_found')
  return fingerprintDigest(stored.card.fingerprint)
}

/** What the audit log says of the card. */
const factsOf = ({ digest }: Fingerprint, named: NamedCard): Facts => ({ card: digest, ofCard: named.card })

/**
 * Blocks the number of a card for every account until an operator unblocks it. One that an operator has blocked stays
 * as it is.
 * @throws DomainError `invalid_request`, `not_found`, `conflict`
 */
export async function blockCard(deps: Deps<'table'>, named: NamedCard, reason: string): Promise<Fingerprint> {
  const digest = await digestOfNamed(deps, named)
  return retryRaces(deps, async () => {
    const before = await readFingerprint(deps, digest)
    if (before.orderedAtMs !== undefined) return before
    const nowMs = deps.clock.nowMs()
    const audited = { accountId: named.account, reason, after: factsOf(before, named) }
    await writeAll(deps, [
      fingerprintWrite(before, { ...before, orderedAtMs: nowMs }, nowMs),
      ...auditWrites(deps, { action: 'operator.card_blocked', ...audited }),
    ])
    return readFingerprint(deps, digest)
  })
}

/**
 * Lets a card buy again, for every account: withdraws the reports of fraud for good, an operator's own order, and what
 * keeps others from paying because an account owes. That account still owes. First the reports are marked as withdrawn,
 * then each account follows, and last the number is free, so that a repeat resumes what ended early.
 * @throws DomainError `invalid_request`, `not_found`, `conflict`; `temporarily_unavailable` while Stripe is down
 */
export async function unblockCard(
  deps: Deps<'table' | 'payments'>,
  named: NamedCard,
  reason: string,
): Promise<Fingerprint> {
  const digest = await digestOfNamed(deps, named)
  return retryRaces(deps, async () => {
    const before = await readFingerprint(deps, digest)
    const reports = Object.entries(before.reports ?? {})
    if (before.blockedAtMs === undefined && before.debtors === undefined) return before
    const nowMs = deps.clock.nowMs()
    const withdrawn = [...new Set([...(before.withdrawn ?? []), ...reports.map(([charge]) => charge)])]
    const marked = { ...before, withdrawn }
    await writeAll(deps, [fingerprintWrite(before, marked, nowMs)])
    for (const [chargeId, { accountId }] of reports) {
      const charge = await deps.payments.readCharge(chargeId)
      if (charge) await writeReport(deps, accountId, charge, { chargeId, reason: undefined })
    }
    const { reports: _, orderedAtMs, debtors, blockedAtMs, ...free } = marked
    const audited = { accountId: named.account, reason, before: factsOf(before, named) }
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
