/** The language of a page and how it writes numbers, money and times. */

/** Languages that have messages. */
export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const
export type Language = keyof typeof LANGUAGES

const STORED = 'bursar.language'

const isLanguage = (text: string | null): text is Language => text !== null && text in LANGUAGES

/** What the person chose here, or else the first language of the browser that has messages. */
export const language: Language = (() => {
  const wanted = [stored(STORED), ...navigator.languages.map((tag) => tag.slice(0, 2))]
  return wanted.find((tag) => isLanguage(tag)) ?? 'en'
})()

/** The browser's own tag keeps its region, by which dates and numbers differ: `en-GB`, `de-AT`. */
const locale = navigator.languages.find((tag) => tag.startsWith(language) && /^[\w-]+$/.test(tag)) ?? language

/** Shows the pages in another language from now on. */
export function chooseLanguage(next: Language): void {
  store(STORED, next)
  location.reload()
}

/** Reads what a page kept in this browser; null if it keeps nothing. */
export function stored(name: string): string | null {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}

/** Keeps a choice in this browser, if it allows that; null forgets it. */
export function store(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(name)
    else localStorage.setItem(name, value)
  } catch {
    // A browser without storage forgets the choice when the page is closed.
  }
}

const numbers = new Intl.NumberFormat(locale)
const compact = new Intl.NumberFormat(locale, { notation: 'compact' })
const days = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: 'UTC' })
const shortDays = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', timeZone: 'UTC' })
const times = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' })
const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })

export const numberText = (value: number): string => numbers.format(value)
/** A number that has to fit under a bar: `12K`. */
export const shortNumberText = (value: number): string => compact.format(value)
/** A day in UTC, which is how Bursar counts days. */
export const dayText = (value: string | number): string => days.format(new Date(value))
export const shortDayText = (value: string): string => shortDays.format(new Date(value))
/** A moment in the time zone of the reader. */
export const timeText = (value: string | number): string => times.format(new Date(value))

/** An amount of a currency (ISO 4217) in its major unit: 9.99 USD. */
export const moneyText = (amount: number, currency: string): string =>
  new Intl.NumberFormat(locale, { style: 'currency', currency }).format(amount)

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
]

/** A moment by its distance from now, as long as that is what one would say: `3 hours ago`. */
export function agoText(value: string): string {
  const ms = Date.parse(value) - Date.now()
  if (Math.abs(ms) > 14 * 86_400_000) return dayText(value)
  const [unit, size] = STEPS.find(([, step]) => Math.abs(ms) >= step) ?? (['second', 1000] as const)
  return relative.format(Math.round(ms / size), unit)
}

/** An amount in the currency's minor unit, as Stripe takes it: 999 for 9.99 USD, 100 for 100 JPY. */
export function minorUnits(amount: number, currency: string): number {
  const { maximumFractionDigits = 2 } = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
  }).resolvedOptions()
  return Math.round(amount * 10 ** maximumFractionDigits)
}
