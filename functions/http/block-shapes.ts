import type { Fingerprint } from '../../core/cards/fingerprint.ts'
import { isoTime, timeOrNull } from './time-shapes.ts'

/** A card's number as operators see it. */
export const blockedCardShape = ({ digest, blockedAtMs, orderedAtMs, reports, debtors }: Fingerprint) => ({
  digest,
  blockedAt: timeOrNull(blockedAtMs),
  byOperator: orderedAtMs !== undefined,
  reports: Object.entries(reports ?? {}).map(([charge, { accountId, reason, atMs }]) => ({
    charge,
    account: accountId,
    reason,
    at: isoTime(atMs),
  })),
  owing: debtors ?? [],
})
