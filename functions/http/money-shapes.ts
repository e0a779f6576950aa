/** The dialects show and take amounts in US dollars; the domain counts integer cents. */

export const dollarsOf = (cents: number): number => cents / 100

export const centsOf = (dollars: number): number => Math.round(dollars * 100)

/** Whether an amount in dollars is a whole number of cents, apart from the error of binary fractions. */
export const isWholeCents = (dollars: number): boolean => Math.abs(centsOf(dollars) - dollars * 100) < 1e-6
