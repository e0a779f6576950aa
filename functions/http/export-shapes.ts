import type { ExportPage } from '../../core/account/export.ts'
import { amountOf } from './money-shapes.ts'
import { isoTime } from './time-shapes.ts'

/** The version of the format: a change that an existing reader would misread is another version. */
const VERSION = 1 as const

/** A page of an export. Every section has the same rules for names and values (`shownEntry`). */
export function exportedPage({ exportedAtMs, currency, sections, omitted, elsewhere, next }: ExportPage) {
  const shown = Object.entries(sections).map(([name, entries]) => [
    name,
    entries.map((entry) => shownEntry(entry, currency)),
  ])
  return {
    version: VERSION,
    exportedAt: isoTime(exportedAtMs),
    ...Object.fromEntries(shown),
    ...(omitted && { omitted }),
    ...(elsewhere && { elsewhere }),
    next: next ?? null,
  }
}

type Entry = Record<string, unknown>

/** An entry with the currency of its amounts: `usual` if it names none. */
function shownEntry(entry: Entry, usual: string): Entry {
  const hasAmounts = Object.keys(entry).some(isAmount)
  const currency = typeof entry.currency === 'string' ? entry.currency.toUpperCase() : usual
  return { ...shownMembers(entry, currency), ...(hasAmounts && { currency }) }
}

/**
 * Stored names and values as people read them: `paidAtMs` becomes `paidAt`, a time in ISO 8601; `amountCents`
 * becomes `amount` in whole units of the currency; and `ttl` becomes `expires`. All others stay as they are.
 */
function shownMembers(entry: Entry, currency: string): Entry {
  // The time 0 stands for never.
  const members = Object.entries(entry).filter(([name, value]) => !(name.endsWith('Ms') && value === 0))
  return Object.fromEntries(members.map(([name, value]) => shownMember(name, value, currency)))
}

function shownMember(name: string, value: unknown, currency: string): [name: string, value: unknown] {
  if (name === 'ttl' && typeof value === 'number') return ['expires', isoTime(value * 1000)]
  if (name.endsWith('Ms')) return [name.slice(0, -'Ms'.length), shownTimes(value)]
  if (isAmount(name) && typeof value === 'number')
    return [name === 'cents' ? 'amount' : name.slice(0, -'Cents'.length), amountOf(value, currency)]
  return [name, shownValue(value, currency)]
}

function shownValue(value: unknown, currency: string): unknown {
  if (Array.isArray(value)) return value.map((each) => shownValue(each, currency))
  const isObject = typeof value === 'object' && value !== null
  return isObject ? shownMembers(value as Entry, currency) : value
}

const isAmount = (name: string): boolean => name === 'cents' || name.endsWith('Cents')

const shownTimes = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(shownTimes) : typeof value === 'number' ? isoTime(value) : value
