import { minorUnits, moneyText } from '../kit/language.ts'

/** An amount in the minor unit of its currency, such as cents, as people read it. */
export const centsText = (cents: number, currency: string): string =>
  moneyText(majorOf(cents, currency), currency)

/** 9.99 of 999 USD, 100 of 100 JPY. */
export const majorOf = (cents: number, currency: string): number => cents / minorUnits(1, currency)

/** Amounts by currency: `$9.99 · €5.00`. */
export const moneyByCurrency = (by: Readonly<Record<string, number>>): string =>
  Object.entries(by)
    .map(([currency, cents]) => centsText(cents, currency))
    .join(' · ')
