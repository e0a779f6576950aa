import { minorUnitsIn } from '../../core/notifications/amounts.ts'

/**
 * The dialects show and take amounts in whole units of a currency (ISO 4217), such as dollars; the domain
 * counts integers of its minor unit, which it calls cents.
 */

export const amountOf = (cents: number, currency: string): number => cents / minorUnitsIn(currency)

export const centsOf = (amount: number, currency: string): number =>
  Math.round(amount * minorUnitsIn(currency))

/** Whether an amount is a whole number of minor units, apart from the error of binary fractions. */
export const isWholeCents = (amount: number, currency: string): boolean =>
  Math.abs(centsOf(amount, currency) - amount * minorUnitsIn(currency)) < 1e-6

/** The largest monthly cap that a request may set, in the currency's minor unit: 1,000,000.00 USD. */
export const MAX_CAP_CENTS = 100_000_000
