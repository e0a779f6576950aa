/** A price as mails and notices write it, such as $0.99. */
export const priceText = (cents: number): string => `$${(cents / 100).toFixed(2)}`

/** A number of units as texts for customers write it, such as 1,000 units. */
export const unitsText = (units: number): string =>
  `${String(units).replace(/\B(?=(\d{3})+$)/g, ',')} ${units === 1 ? 'unit' : 'units'}`
