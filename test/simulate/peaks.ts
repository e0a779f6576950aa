/** The highest value of a measure, and in which minute of the month it came. */
export interface Peak {
  value: number
  minute: number
  /** Which of several places it was. */
  place: string
}

/** What is watched. Rates are those of the busiest second; waits are of the oldest item, minutes. */
export type Measure =
  | 'account'
  | 'due'
  | 'listed'
  | 'totals'
  | 'requests'
  | 'creations'
  | 'creationWait'
  | 'signIns'
  | 'stripe'
  | 'stripeEndpoint'
  | 'renewalWait'
  | 'webhookWait'
  | 'mailWait'
  | 'eventWait'
  | 'useWait'
  | 'accountRenewals'

export interface Watched {
  peaks: Partial<Record<Measure, Peak>>
  /** The highest value of each hour of the month. */
  hours: Partial<Record<Measure | 'writes', number[]>>
}

export type Watch = (measure: Measure | 'writes', minute: number, value: number, place?: string) => void

/** Keeps the highest values of a month of so many days. */
export function openPeaks(days: number): { watched: Watched; watch: Watch } {
  const watched: Watched = { peaks: {}, hours: {} }
  const watch: Watch = (measure, minute, value, place = '') => {
    const list = watched.hours[measure] ?? Array.from({ length: days * 24 }, () => 0)
    watched.hours[measure] = list
    const hour = Math.floor(minute / 60)
    list[hour] = Math.max(list[hour] ?? 0, value)
    if (measure === 'writes' || value <= (watched.peaks[measure]?.value ?? -1)) return
    watched.peaks[measure] = { value, minute, place }
  }
  return { watched, watch }
}
