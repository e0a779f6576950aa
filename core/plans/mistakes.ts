import { currencyCodes, currencyRules, MAX_CHARGE } from '../purchases/currencies.ts'
import { type Catalogue, MAX_PLANS, PLAN_NAME, type Plan } from './plan.ts'

/** With at most this many units a plan, the units of thousands of purchases still sum exactly. */
export const MAX_UNITS = 1_000_000_000_000

/** The most days that units last. Longer than anybody plans for, and short enough for a date. */
export const MAX_DAYS = 3_660

/**
 * Every mistake of a catalogue, and what to do about it.
 * @param currency the deployment's, in which each plan must have a price
 */
export function catalogueMistakes({ trialUnits, plans }: Catalogue, currency: string): string[] {
  if (!currencyCodes.includes(currency)) {
    return [
      `The currency ${JSON.stringify(currency)} is unknown: write an ISO 4217 code in capitals, such as USD, and if it is a new one add it to core/purchases/currencies.ts.`,
    ]
  }
  if (plans.length === 0) return ['There is no plan: add one.']
  if (plans.length > MAX_PLANS) return [`There are ${plans.length} plans: have at most ${MAX_PLANS}.`]
  const isTrial = Number.isSafeInteger(trialUnits) && trialUnits >= 0 && trialUnits <= MAX_UNITS
  return [
    ...(isTrial ? [] : [`The trial has ${trialUnits} units: set a whole number from 0 to ${MAX_UNITS}.`]),
    ...plans.flatMap((plan) => planMistakes(plan, currency)),
    ...twinMistakes(plans, currency),
  ]
}

const planMistakes = (plan: Plan, currency: string): string[] => [
  ...nameMistakes(plan),
  ...sizeMistakes(plan),
  ...(Object.hasOwn(plan.prices, currency)
    ? []
    : [`${plan.name} has no price in ${currency}, the currency of this deployment: add one.`]),
  ...Object.entries(plan.prices).flatMap(([code, cents]) => [
    ...priceMistakes(plan.name, cents, code),
    ...exactnessMistakes(plan.name, plan.units, cents),
  ]),
  ...rangeMistakes(plan, 'lowPercent', 0, 90),
  ...rangeMistakes(plan, 'renewalPercent', 0, 50),
  ...rangeMistakes(plan, 'expiresAfterDays', 1, MAX_DAYS),
  ...rangeMistakes(plan, 'monthlyUnits', 1, MAX_UNITS),
]

function nameMistakes({ name, title }: Plan): string[] {
  const isShown = title === undefined || /^(?=.*\S)[^\p{C}\p{Zl}\p{Zp}<>]{1,60}$/u.test(title)
  return [
    ...(PLAN_NAME.test(name)
      ? []
      : [
          `${JSON.stringify(name)} is no name for a plan: use up to 32 of A-Z a-z 0-9 _ -, the first one a letter.`,
        ]),
    ...(isShown
      ? []
      : [`${name} has a title that cannot be shown: use up to 60 characters, without < and >.`]),
  ]
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0

const sizeMistakes = ({ name, units }: Plan): string[] =>
  isCount(units) && units <= MAX_UNITS
    ? []
    : [`${name} has ${units} units: set a whole number from 1 to ${MAX_UNITS}.`]

function priceMistakes(name: string, priceCents: number, currency: string): string[] {
  if (!currencyCodes.includes(currency))
    return [`${name} has a price in ${JSON.stringify(currency)}, which is no known currency in capitals.`]
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
export const isExact = (units: number, priceCents: number): boolean =>
  Number.isSafeInteger(units * priceCents)

const exactnessMistakes = (name: string, units: number, priceCents: number): string[] =>
  isCount(units) && isCount(priceCents) && !isExact(units, priceCents)
    ? [
        `${name} has too many units for its price: units times price must be at most ${Number.MAX_SAFE_INTEGER}.`,
      ]
    : []

function rangeMistakes(
  plan: Plan,
  field: 'lowPercent' | 'renewalPercent' | 'expiresAfterDays' | 'monthlyUnits',
  least: number,
  most: number,
): string[] {
  const value = plan[field]
  const fits = value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)
  return fits ? [] : [`${plan.name} has ${field} ${value}: set a whole number from ${least} to ${most}.`]
}

/** Names that differ only in case would be one in a URL, and equal plans would be a mistake of copying. */
function twinMistakes(plans: readonly Plan[], currency: string): string[] {
  const seen = new Map<string, string>()
  return plans.flatMap(({ name, title: _, ...terms }) => {
    const { units, prices, ...rest } = terms
    const same = Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))
    const keys = [`name ${name.toLowerCase()}`, `terms ${JSON.stringify([units, prices[currency], same])}`]
    const twin = keys.map((key) => seen.get(key)).find((found) => found !== undefined)
    for (const key of keys) seen.set(key, name)
    return twin === undefined ? [] : [`${twin} and ${name} are alike: remove one of them.`]
  })
}
