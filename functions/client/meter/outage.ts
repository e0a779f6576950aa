import type { Clock, Decision, Ledger, SpendRequest } from './spender.ts'

/** How much may pass while Bursar does not answer. */
export interface Allowance {
  /** Most units that are journalled and not yet confirmed, over all customers. */
  units: number
  /** How long after Bursar's last answer requests may pass. */
  seconds: number
}

const SEEN_MS = 60 * 60 * 1000
const MOST_SEEN = 100_000

export interface Outage {
  /** Bursar has answered a request of this customer. */
  answered(request: SpendRequest, decision: Decision): void
  /** Units that had passed were refused afterwards: this customer does not pass again until served. */
  refused(key: string): void
  /** No answer came to a request. */
  missed(): void
  /** Whether a request to which no answer came may pass. */
  mayPass(request: SpendRequest): boolean
  /** Counts units that have passed and are not journalled yet. @returns what ends that */
  hold(units: number): () => void
}

/** What Bursar has last said about a key. */
interface Seen {
  atMs: number
  scopes: ReadonlySet<string>
  ip: string | undefined
}

/**
 * Decides which requests pass while Bursar does not answer: only of keys that were served in the last hour and not
 * refused since, for scopes that Bursar has confirmed and from the same address, at most `units` that are not confirmed,
 * for `seconds` from the first missed answer on. Without an allowance nothing passes.
 */
export function openOutage(
  allowance: Allowance | undefined,
  clock: Clock,
  journal: Pick<Ledger, 'openUnits'>,
): Outage {
  /** By key, the one served longest ago first. */
  const seen = new Map<string, Seen>()
  let sinceMs: number | undefined
  let heldUnits = 0
  return {
    answered({ key, requires = [], ip }, decision) {
      sinceMs = undefined
      if (allowance === undefined || (!decision.allowed && decision.status === 429)) return
      const known = decision.key?.scopes ?? []
      seen.delete(key)
      if (!decision.allowed) return
      seen.set(key, { atMs: clock.nowMs(), scopes: new Set([...known, ...requires]), ip })
      if (seen.size > MOST_SEEN)
        for (const oldest of [...seen.keys()].slice(0, MOST_SEEN / 10)) seen.delete(oldest)
    },
    refused: (key) => void seen.delete(key),
    missed() {
      sinceMs ??= clock.nowMs()
    },
    mayPass({ key, units, requires = [], ip }) {
      const known = seen.get(key)
      if (allowance === undefined || sinceMs === undefined || known === undefined) return false
      const now = clock.nowMs()
      if (now - known.atMs > SEEN_MS || now - sinceMs > allowance.seconds * 1000) return false
      if (known.ip !== ip || !requires.every((scope) => known.scopes.has(scope))) return false
      return journal.openUnits() + heldUnits + units <= allowance.units
    },
    hold(units) {
      heldUnits += units
      return () => {
        heldUnits -= units
      }
    },
  }
}
