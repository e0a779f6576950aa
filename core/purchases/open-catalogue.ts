import { currencyCodes, currencyRules, MAX_CHARGE } from './currencies.ts'

/** A number of calls at a price. */
export interface Bundle<Name extends string = string> {
  name: Name
  /** Calls that the bundle adds. */
  units: number
  /** In the minor unit of the catalogue's currency, such as cents; whole yen for JPY. */
  priceCents: number
}

/** The bundles for sale by name, and the currency (ISO 4217) of their prices. */
export interface CatalogueData<Name extends string> {
  currency: string
  bundles: Readonly<Record<Name, { units: number; priceCents: number }>>
}

/** Safe in texts, keys and URLs, and the same in upper and lower case everywhere. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/

/** With at most this many units a bundle, the units of thousands of purchases still sum exactly. */
const MAX_UNITS = 1_000_000_000_000

/**
 * Checks a catalogue and makes its look-ups.
 * @throws Error that lists every mistake of the catalogue and what to do about it
 */
export function openCatalogue<Name extends string>({ currency, bundles }: CatalogueData<Name>) {
  const mistakes = catalogueMistakes(currency, bundles)
  if (mistakes.length > 0) {
    throw new Error(
      `The catalogue (core/purchases/catalogue.ts) cannot be used. ${mistakes.join(' ')} Correct it and deploy again.`,
    )
  }
  const names = Object.keys(bundles) as [Name, ...Name[]]
  const isSold = (name: string): name is Name => Object.hasOwn(bundles, name)
  return {
    /** ISO 4217: the currency of every price. */
    CURRENCY: currency,
    bundleNames: names,
    /** Whether the catalogue has a bundle of exactly this name. An account may hold one that is gone. */
    isSold,
    /** @throws Error for a name that is not in the catalogue: ask `isSold` before */
    bundleOf(name: string): Bundle<Name> {
      if (!isSold(name)) throw new Error(`the catalogue has no bundle ${name}`)
      return { name, ...bundles[name] }
    },
    /** The name of a bundle as the catalogue writes it, for a text in upper or lower case. */
    bundleNamed: (text: string): Name | undefined =>
      NAME.test(text) ? names.find((name) => name.toLowerCase() === text.toLowerCase()) : undefined,
  }
}

function catalogueMistakes(currency: string, bundles: CatalogueData<string>['bundles']): string[] {
  if (!currencyCodes.includes(currency)) {
    return [
      `Its currency ${JSON.stringify(currency)} is unknown: write an ISO 4217 code in capitals, such as USD, and if it is a new one add it to core/purchases/currencies.ts.`,
    ]
  }
  const entries = Object.entries(bundles)
  if (entries.length === 0) return ['It has no bundle: add one.']
  const mistakes = entries.flatMap(([name, { units, priceCents }]) => [
    ...nameMistakes(name),
    ...sizeMistakes(name, units),
    ...priceMistakes(name, priceCents, currency),
    ...exactnessMistakes(name, units, priceCents),
  ])
  return [...mistakes, ...twinMistakes(entries)]
}

const nameMistakes = (name: string): string[] =>
  NAME.test(name)
    ? []
    : [
        `${JSON.stringify(name)} is no name for a bundle: use up to 32 of A-Z a-z 0-9 _ -, the first one a letter.`,
      ]

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0

const sizeMistakes = (name: string, units: number): string[] =>
  isCount(units) && units <= MAX_UNITS
    ? []
    : [`${name} has ${units} units: set a whole number from 1 to ${MAX_UNITS}.`]

function priceMistakes(name: string, priceCents: number, currency: string): string[] {
  const { minimum, step } = currencyRules(currency)
  const unit = `in the minor unit of ${currency}`
  if (!isCount(priceCents)) return [`${name} costs ${priceCents}: set a whole number above 0, ${unit}.`]
  if (priceCents < minimum)
    return [`${name} costs ${priceCents}: Stripe charges at least ${minimum}, ${unit}. Raise the price.`]
  if (priceCents > MAX_CHARGE)
    return [`${name} costs ${priceCents}: Stripe charges at most ${MAX_CHARGE}, ${unit}. Lower the price.`]
  if (priceCents % step !== 0)
    return [
      `${name} costs ${priceCents}: Stripe charges multiples of ${step} only, ${unit}. Round the price.`,
    ]
  return []
}

/** A refund takes units back pro rata, by the product of units and cents. */
const exactnessMistakes = (name: string, units: number, priceCents: number): string[] =>
  isCount(units) && isCount(priceCents) && !Number.isSafeInteger(units * priceCents)
    ? [
        `${name} has too many units for its price: units times price must be at most ${Number.MAX_SAFE_INTEGER}.`,
      ]
    : []

/** Names that differ only in case would be one in a URL, and equal bundles would be a mistake of copying. */
function twinMistakes(entries: [string, { units: number; priceCents: number }][]): string[] {
  const seen = new Map<string, string>()
  return entries.flatMap(([name, { units, priceCents }]) => {
    const keys = [`name ${name.toLowerCase()}`, `${units} units for ${priceCents}`]
    const twin = keys.map((key) => seen.get(key)).find((found) => found !== undefined)
    for (const key of keys) seen.set(key, name)
    return twin === undefined ? [] : [`${twin} and ${name} are alike: remove one of them.`]
  })
}
