/** A price as mails and notices write it, such as $0.99. */
export const priceText = (cents: number): string => `$${(cents / 100).toFixed(2)}`
