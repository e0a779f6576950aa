import { CURRENCY } from '../purchases/catalogue.ts'
import { currencyRules } from '../purchases/currencies.ts'

/** How many minor units one of a currency (ISO 4217) has: 100 cents, 1 yen, 1,000 fils. */
export const minorUnitsIn = (currency: string): number => 10 ** currencyRules(currency).decimals

/**
 * An amount as texts for customers write it, such as $0.99, €4.99, ¥150 or KWD 1.500.
 * @param cents in the currency's minor unit.
 * @param currency ISO 4217; the catalogue's if left out.
 */
export function priceText(cents: number, currency = CURRENCY): string {
  const { decimals } = currencyRules(currency)
  // Created at its use, because Intl loads Node's tables, for which no function should wait at its start.
  const format = new Intl.NumberFormat('en-US', {
    style: 'currency',
    currency,
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  })
  return format.format(cents / minorUnitsIn(currency))
}

/** A number of units as texts for customers write it, such as 1,000 units. */
export const unitsText = (units: number): string =>
  `${String(units).replace(/\B(?=(\d{3})+$)/g, ',')} ${units === 1 ? 'unit' : 'units'}`
