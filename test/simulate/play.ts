import { type Assumptions, assumptions } from './assumptions.ts'
import { eased, type Limit, limitsMet } from './limits.ts'
import { playMonth, type Scale } from './month.ts'
import type { Played } from './report.ts'
import { deployed, type Settings } from './settings.ts'

/** What gives may let more through to the next limit, so a month is eased so often at most. */
const ROUNDS = 4

/** A month as deployed, and eased until no limit is met. */
export interface Eased {
  before: Played
  /** Undefined if no limit was met. */
  after: Played | undefined
  /** All limits that were met on the way. */
  met: Limit[]
}

/**
 * @param tell is told of the days of each round
 * @param start the settings of the first month
 */
export function playEased(
  scale: Scale,
  tell: (round: string) => (day: number) => void = () => () => {},
  start: Settings = deployed,
  about: Assumptions = assumptions,
): Eased {
  const play = (settings: Settings, round: string): Played => ({
    month: playMonth(scale, settings, about, tell(round)),
    settings,
  })
  const before = play(start, 'as set')
  const met: Limit[] = []
  let after: Played | undefined
  for (let round = 1; round <= ROUNDS; round++) {
    const { month, settings } = after ?? before
    const found = limitsMet(month, settings)
    if (found.length === 0) break
    met.push(...found.filter((limit) => !met.includes(limit)))
    after = play(eased(settings, found), `eased ${round}`)
  }
  return { before, after, met }
}
