import { parseProfile } from '../../core/account/account.ts'
import { fingerprintDigest } from '../../core/cards/fingerprint.ts'
import type { Ports } from '../../core/ports.ts'
import { trialClaim } from '../../core/quota/trial.ts'
import { type Item, ignoreRefusal, type Write } from '../../core/table/table.ts'

const isMark = ({ pk }: Item): boolean => String(pk).startsWith('TRIAL#')

/** Another account puts the card of this fingerprint on file as its first one, and has had a trial. */
export async function backElsewhere(ports: Ports, fingerprint: string): Promise<void> {
  const claim = trialClaim(fingerprintDigest(fingerprint), ports.clock.nowMs())
  const write = 'put' in claim ? { ...claim, put: { ...claim.put, elsewhere: true } } : claim
  await ports.table.transact([write]).catch(ignoreRefusal)
}

/** What happened to the trial of the one account of a world: units taken, as the card decided. */
export interface Decided {
  /** The card backs the trial of the account. */
  backs: boolean
  taken: number
}

/**
 * Watches the writes of a table in memory, each of which is atomic. The first card that a proof or a purchase puts on
 * file decides about the trial, once: it is marked for the account, or what is left of the trial is taken back, and
 * nothing else. Code that is not written yet is held to it as well.
 * @param decided gets what happened.
 * @param mistakes gets a line for each wrong decision.
 */
export const watchTrial =
  (decided: Decided[], mistakes: unknown[]) =>
  (writes: readonly Write[], items: () => Item[], apply: () => void): void => {
    const before = look(items())
    apply()
    if (!before.profile) return
    const after = look(items())
    const wrong = (what: string) => mistakes.push(`trial: ${what}, ${JSON.stringify([before, after])}`)
    const isDecided = before.profile.trialUnits !== undefined && after.profile?.trialUnits === undefined
    const marks = writes.filter((write) => 'put' in write && isMark(write.put) && !write.put.elsewhere)
    if (!isDecided) {
      if (marks.length > 0) wrong('a card was marked without a decision')
      return
    }
    const taken = before.left - after.left
    decided.push({ backs: marks.length > 0, taken })
    if (!writes.some((write) => 'put' in write && String(write.put.sk).startsWith('CARD#')))
      wrong('decided without a card')
    if (marks.length > 1 || decided.length > 1) wrong('decided twice')
    const trial = Number(before.profile.trialUnits)
    // All that has gone was of the trial: units that were paid for are not touched.
    const most = Math.max(0, trial - (before.credited - before.left))
    if (taken !== (marks.length > 0 ? 0 : most)) wrong(`${taken} units were taken`)
  }

function look(items: readonly Item[]) {
  const item = items.find(({ sk }) => sk === '#PROFILE')
  const { l = 0, f = 0, s = 0 } = items.find(({ sk }) => sk === '#QUOTA') ?? {}
  const entries = items.filter(
    ({ sk, seq, units }) => String(sk).startsWith('LEDGER#') && Number(seq) <= Number(s) && Number(units) > 0,
  )
  const profile = item && parseProfile(item)
  return {
    profile: profile && { trialUnits: profile.trialUnits },
    left: Number(l) + Number(f),
    credited: entries.reduce((sum, { units }) => sum + Number(units), 0),
  }
}
